#!/bin/sh
# On a host: wait for its engine and load images that were packed. Arguments: image …
set -eu
until docker version >/dev/null 2>&1; do
    [ "$((tries = ${tries:-0} + 1))" -lt 60 ] || { echo "no engine answers on this host" >&2; exit 1; }
    sleep 1
done
for image in "$@"; do
    docker load --quiet <"$(dirname "$0")/$(echo "$image" | tr : _).tar"
done
