#!/bin/bash
# Print the number of faces that wait in the outbox of a volume: count_waiting_faces.sh VOLUME. No container need run.
set -euo pipefail

docker volume inspect "$1" >/dev/null 2>&1 || { echo 0; exit; }
# The image of a container of this outbox, else the newest.
image=$(docker ps --all --filter="volume=$1" --format '{{.Image}}'
    docker image ls --filter=reference=face-app-capture --format '{{.Repository}}:{{.Tag}}')
[ -n "$image" ] || { echo "no image of the program is left" >&2; exit 1; }
count=$(docker run --rm --network=none --cap-drop=ALL --volume="$1:/var/lib/face-app" "${image%%$'\n'*}" \
    ledger --outbox=/var/lib/face-app/outbox.db | awk '/"waiting"/ { count++ } END { print count + 0 }')
echo "$count"
