#!/usr/bin/env bash
# A walk through the example data with redis-cli: prints each command, then its reply.
#
#     examples/session.sh [redis-cli arguments, such as -p 6379 or -s /path/to/redis.sock]
set -euo pipefail
cd "$(dirname "$0")"

cli=(redis-cli "$@")

say() { printf '\n# %s\n' "$*"; }

# Prints a command as a shell would take it, then its reply: `run` as redis-cli shows it, `text` as plain text.
run() {
    printf '> %s\n' "${*@Q}" | sed "s/'\([A-Za-z0-9_.,-]*\)'/\1/g"
    "${cli[@]}" -e --no-raw "$@"
}

text() {
    printf '> %s\n' "${*@Q}" | sed "s/'\([A-Za-z0-9_.,-]*\)'/\1/g"
    "${cli[@]}" -e --raw "$@"
}

load() {
    printf '> redis-cli -x ND.SET %s NPY < examples/%s\n' "$1" "$2"
    "${cli[@]}" -e -x ND.SET "$1" NPY <"$2"
}

say "Offsets from UTC, in seconds: 312 time zones, the years 1970 to 2024, on 1 January and 1 July"
load zones zones.npy
run ND.SHAPE zones
run ND.INFO zones

say "Zurich is zone 278: 1978 to 1983, when it began to change its clocks"
text ND.SLICE zones "278, 8:14" TEXT

say "The mean over all zones and years, in January and in July"
text ND.MEAN zones AXIS 0,1 TEXT

say "What a person wants to see"
text ND.SHOW zones

say "Where the zones are, and the first three places: latitude, longitude"
load places zones-places.npy
text ND.SLICE places ":3" TEXT
text ND.MEAN places AXIS 0 TEXT

say "A name and a unit travel with the array"
run ND.ATTRSET zones unit '"seconds east of UTC"'
run ND.ATTRGET zones

say "The same elements are the same digest, however they are stored"
run ND.DIGEST zones
run COPY zones again REPLACE
run ND.DIGEST again
