#!/usr/bin/env bash
# Runs the server tests with a module built for AddressSanitizer, on the stock redis-server (which must not be built with
# it: the runtime is preloaded). Needs a nightly toolchain. Arguments go to `cargo test`; default: the transcripts.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
dir=${CARGO_TARGET_DIR:-target}/asan
RUSTFLAGS="-Zsanitizer=address" CARGO_TARGET_DIR=$dir cargo +nightly build --locked --lib --target "$host"

module=$(realpath "$dir/$host/debug/libredis_ndarray.so")
runtime=$(cc -print-file-name=libasan.so)
server=$(command -v "${REDIS_SERVER:-redis-server}")
# The server leaks its globals on purpose; the module's own leaks are what INFO and the tests count.
export NDARRAY_MODULE=$module
export REDIS_SERVER="env LD_PRELOAD=$runtime ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:detect_odr_violation=0 $server"
cargo test --locked "${@:---test=transcripts}"
