#!/bin/sh
# Make the image of a test host with Python 3.6, face-app-test-host:python36, unless this recipe made it.
# It is built on face-app-test-host:bare.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
image=face-app-test-host:python36
python=$("$here/find.sh")
"$here/../host_image.sh" bare
base=$(docker image inspect --format '{{.Id}}' face-app-test-host:bare)
recipe=$({ cat "$0" "$here/Dockerfile" "$here/requirements.txt"; echo "$base $python"; } | sha256sum | cut -c1-12)
[ "$(docker image inspect --format '{{index .Config.Labels "recipe"}}' "$image" 2>/dev/null)" != "$recipe" ] || exit 0

context=$(mktemp --directory)
trap 'rm -rf "$context"' EXIT
cp "$here/Dockerfile" "$context"
mkdir "$context/python"
tar --create --directory="$python" --exclude=__pycache__ --exclude=lib/python3.6/test bin include lib |
    tar --extract --directory="$context/python"
"$python/bin/python3.6" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --no-compile \
    --target="$context/python/lib/python3.6/site-packages" --requirement="$here/requirements.txt"
docker build --quiet --tag="$image" --label="recipe=$recipe" "$context" >/dev/null
echo "made $image"
