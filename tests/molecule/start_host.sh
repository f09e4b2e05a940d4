#!/usr/bin/env bash
# Start a test host and wait until it is up; its image is made first where it is missing.
#   start_host.sh NAME IMAGE [option of docker run ...]                     a host with systemd as PID 1
#   start_host.sh NAME IMAGE [option of docker run ...] -- COMMAND [...]    a host on which only this runs
# IMAGE is bare or docker (host_image.sh), or python36.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
name=$1 image=$2
shift 2
options=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    options+=("$1")
    shift
done
[ $# = 0 ] || shift

case $image in
python36) python36/host_image.sh >&2 ;;
*) ./host_image.sh "$image" >&2 ;;
esac

bounding=$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)
# Without CAP_SYS_RESOURCE, bit 24, an engine refuses --privileged.
if [ $((0x$bounding >> 24 & 1)) = 1 ]; then
    rights=(--privileged)
else
    rights=(--cap-add=ALL --cap-drop=SYS_RESOURCE)
    rights+=(--security-opt=seccomp=unconfined --security-opt=apparmor=unconfined --security-opt=systempaths=unconfined)
fi
place=(
    --tmpfs=/run:exec --tmpfs=/run/lock --tmpfs=/tmp:exec
    # A namespace of its own would have systemd write into the machine's root group, and leave it there.
    --cgroupns=host --volume=/sys/fs/cgroup:/sys/fs/cgroup:rw
    # An engine inside cannot lay its overlay upon an overlay.
    --volume=/var/lib/docker
)
docker run --detach --pull=never --name="$name" --hostname="$name" --stop-signal=SIGRTMIN+3 --stop-timeout=30 \
    "${rights[@]}" "${place[@]}" "${options[@]}" "face-app-test-host:$image" "$@" >/dev/null
[ $# = 0 ] || exit 0

for _ in {1..60}; do
    state=$(docker exec "$name" systemctl is-system-running --wait 2>&1 || true)
    case $state in running | degraded) exit 0 ;; esac
    sleep 1
done
echo "start_host.sh: systemd of $name is not up: $state" >&2
exit 1
