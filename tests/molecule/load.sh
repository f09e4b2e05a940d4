#!/bin/sh
# On a host: wait for its engine, and load images that lie packed beside this script.
#   load.sh NAME ...
set -eu
until docker version >/dev/null 2>&1; do
    [ "$((tries = ${tries:-0} + 1))" -lt 60 ] || { echo "no engine answers on this host" >&2; exit 1; }
    sleep 1
done
for name in "$@"; do
    docker load --quiet <"$(dirname "$0")/$name.tar"
done
