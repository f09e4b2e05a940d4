#!/bin/sh
# Pack an image into a folder, unless it lies there already.
#   pack.sh FOLDER NAME IMAGE
set -eu
folder=$1 name=$2 image=$3
mkdir -p "$folder"
id=$(docker image inspect --format '{{.Id}}' "$image")
[ "$(cat "$folder/$name.id" 2>/dev/null)" != "$id" ] || exit 0
rm -f "$folder/$name.id"
docker save "$image" >"$folder/$name.tar"
echo "$id" >"$folder/$name.id"
echo packed
