#!/bin/sh
# Pack an image into a folder under a name made of its tag and id, and drop older ones of its name. Arguments: folder, image
set -eu
folder=$1 image=$2
mkdir -p "$folder"
id=$(docker image inspect --format '{{.Id}}' "$image")
file=$folder/$(echo "$image" | tr : _)
[ "$(cat "$file.id" 2>/dev/null)" != "$id" ] || exit 0
mkdir -p "$folder"
rm -f "$folder/${image%%:*}"_*.tar "$folder/${image%%:*}"_*.id
docker save "$image" >"$file.tar"
echo "$id" >"$file.id"
echo packed
