#!/usr/bin/env bash
# A walk through the example data with redis-cli: prints each command, then its reply.
#
#     examples/session.sh [redis-cli arguments, such as -p 6379 or -s /path/to/redis.sock]
#
# It sets the keys zones, places, copy and noise.
set -euo pipefail
cd "$(dirname "$0")"

cli=(redis-cli "$@")

say() { printf '\n# %s\n' "$*"; }

# Prints a command as a shell would take it.
show() { printf '> %s\n' "${*@Q}" | sed "s/'\([A-Za-z0-9_.,-]*\)'/\1/g"; }

# Prints a command and its reply: `run` as redis-cli shows it, `text` as plain text.
run() {
    show "$@"
    "${cli[@]}" -e --no-raw "$@"
}

text() {
    show "$@"
    "${cli[@]}" -e --raw "$@"
}

load() {
    printf '> redis-cli -x ND.SET %s NPY < examples/%s\n' "$1" "$2"
    "${cli[@]}" -e -x ND.SET "$1" NPY <"$2"
}

say "Load a file that numpy.save wrote: offsets from UTC in seconds, of 312 zones, in 1970 to 2024, in January and July"
load zones zones.npy

say "See what it is: dtype, shape, storage, a few values, a histogram. '..., 0' is January, as in zones[..., 0]"
text ND.SHOW zones "..., 0"

say "Read a part, and only that part: Zurich is zone 278, here from 1978 to 1983, when it began to change its clocks"
text ND.SLICE zones "278, 8:14" TEXT

say "Pick rows by a list: the first, Zurich and the last, in 2024, as JSON"
text ND.SLICE zones "[0, 278, -1], -1" JSON

say "Reduce on the server: the mean over zones and years leaves January and July"
text ND.MEAN zones AXIS 0,1 TEXT

say "Attributes are JSON, and travel with the array"
run ND.ATTRSET zones unit '"seconds east of UTC"' years '{"first":1970,"last":2024}'
run ND.ATTRGET zones unit

say "The digest says what the elements are, however they are stored: a copy has the same"
run ND.DIGEST zones
run COPY zones copy REPLACE
run ND.GET copy IFDNE "$("${cli[@]}" -e --raw ND.DIGEST zones)"

say "Its 137,280 bytes of elements are compressed, chunk by chunk, where that pays: what the key takes in memory"
run MEMORY USAGE zones

say "Where the zones are: latitude and longitude, of the first three and on average"
load places zones-places.npy
text ND.SLICE places ":3" TEXT
text ND.MEAN places AXIS 0 TEXT

say "The same subscript of several arrays in one call: Zurich's offsets in 2024, and its longitude"
text ND.MGET 2 zones places SLICE "278, -1" JSON

say "Let the server make an array: what numpy.random.default_rng(7).normal(0, 1, (500, 2)) gives, as float32"
run ND.CREATE noise float32 500,2 RANDOM NORMAL 0 1 SEED 7 EX 3600
text ND.SHOW noise ":3"
run TTL noise
