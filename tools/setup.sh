#!/usr/bin/env bash
# Brings what building and running need: redis-server and redis-cli, make, a C compiler, libclang, Python with venv.
#
# What is there is left alone. On Debian and its kin, as root, what is missing is installed by apt-get; otherwise the
# command to run is printed and the answer is 1. Safe to run again and again.
set -euo pipefail

have() { command -v "$1" >/dev/null 2>&1; }

has_libclang() {
    [[ -n ${LIBCLANG_PATH:-} ]] && return 0
    local file
    for file in /usr/lib/llvm*/lib/libclang*.so* /usr/lib/*/libclang*.so* /usr/lib*/libclang*.so* /usr/local/lib/libclang*.so*; do
        [[ $file == *libclang-cpp* ]] || [[ ! -e $file ]] || return 0
    done
    return 1
}

has_redis() { have "${REDIS_SERVER:-redis-server}" && have redis-cli; }
has_compiler() { have make && have cc && echo "int main(void){return 0;}" | cc -x c -o /dev/null - 2>/dev/null; }
has_venv() { have python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; }

if ! have cargo; then
    echo "setup: cargo is missing: install Rust from https://rustup.rs, then run this again." >&2
    exit 1
fi

packages=()
has_redis || packages+=(redis-server redis-tools)
has_compiler || packages+=(make gcc libc6-dev)
has_libclang || packages+=(libclang-dev)
has_venv || packages+=(python3-venv)

if ((${#packages[@]} == 0)); then
    echo "setup: redis-server, make, C compiler, libclang and Python are here."
    exit 0
fi
if ! have apt-get || ((EUID != 0)); then
    echo "setup: missing. Install these Debian packages, or what your system calls them, then run this again:" >&2
    echo "    sudo apt-get install --no-install-recommends ${packages[*]}" >&2
    exit 1
fi

# Debian starts a service as soon as its package is unpacked. policy-rc.d forbids that while we install (101: not
# allowed), so that port 6379 is not taken by a server nobody asked for; a policy that is already there stays.
policy=/usr/sbin/policy-rc.d
if [[ " ${packages[*]} " == *" redis-server "* && ! -e $policy ]]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    echo "setup: the redis-server service is installed but not started (to keep it off after a reboot:"
    echo "       systemctl disable redis-server)."
fi
echo "setup: installing ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null

has_redis && has_compiler && has_libclang && has_venv || {
    echo "setup: something is still missing after installing ${packages[*]}: look at the output above." >&2
    exit 1
}
echo "setup: done."
