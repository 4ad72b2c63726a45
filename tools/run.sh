#!/usr/bin/env bash
# Starts and stops the server of `make run`: redis.conf and ./ndarray.so, its files in .run/, on the first free port from
# 6379 up. Starting it again replaces the one that runs.
#
#     tools/run.sh start | stop
set -euo pipefail
cd "$(dirname "$0")/.."

server=${REDIS_SERVER:-redis-server}
socket=$PWD/.run/redis.sock

# The server of an earlier start, if it still runs, is the one that answers on our socket.
stop() {
    [[ -S $socket ]] && redis-cli -s "$socket" PING >/dev/null 2>&1 || return 1
    redis-cli -s "$socket" SHUTDOWN NOSAVE >/dev/null 2>&1 || true
    for _ in {1..500}; do
        redis-cli -s "$socket" PING >/dev/null 2>&1 || return 0
        sleep 0.01
    done
    echo "the server on $socket does not stop" >&2
    exit 1
}

free_port() {
    local port
    for port in {6379..6479}; do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    echo "no free port from 6379 to 6479" >&2
    exit 1
}

start() {
    stop || true
    mkdir -p .run
    rm -f "$socket"
    local port
    port=$(free_port)
    # redis.conf names ./ndarray.so; the server works in .run/, where its files are to be. Its output goes nowhere, or
    # it would keep the pipe of `make run | ...` open.
    ln -sf ../ndarray.so .run/ndarray.so
    (cd .run && "$server" ../redis.conf --port "$port" --bind 127.0.0.1 --unixsocket "$socket" --save "" \
        --logfile redis.log --daemonize yes </dev/null >/dev/null 2>&1)
    for _ in {1..500}; do
        if redis-cli -s "$socket" PING 2>/dev/null | grep -q PONG; then
            local status=0
            examples/session.sh -s "$socket" || status=$?
            printf '\nThe server is running on port %s.\n' "$port"
            printf '  connect:  redis-cli -p %s\n  log:      .run/redis.log\n  stop:     make stop\n' "$port"
            return $status
        fi
        sleep 0.01
    done
    echo "redis-server did not start:" >&2
    tail -20 .run/redis.log >&2
    exit 1
}

case ${1:-} in
start) start ;;
stop) stop && echo "stopped" || echo "not running" ;;
*)
    echo "usage: tools/run.sh start | stop" >&2
    exit 2
    ;;
esac
