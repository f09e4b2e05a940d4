#!/bin/sh
# Make the image of a test host, unless it is there and this file made it: Debian 12 with systemd as PID 1.
#   host_image.sh bare     with sshd and the programs that Ansible needs
#   host_image.sh docker   also with the distribution's Docker engine, started at boot
set -eu
kind=$1
suite=bookworm
recipe=$(sha256sum "$0" | cut -c1-12)
image=face-app-test-host:$kind
[ "$(docker image inspect --format '{{index .Config.Labels "recipe"}}' "$image" 2>/dev/null)" != "$recipe" ] || exit 0

build() {
    # The lists of packages are empty but new; a role that trusts them for an hour would find no package.
    docker build --quiet --tag "$image" --label "recipe=$recipe" - >/dev/null
    echo "made $image"
}

case $kind in
bare)
    tar=$(mktemp)
    trap 'rm -f "$tar"' EXIT
    # A tar first, and a session of its own: mmdebstrap hangs up its whole process group when its reader fails.
    setsid --wait mmdebstrap --quiet --variant=minbase --format=tar \
        --include=systemd,systemd-sysv,dbus,python3,python3-apt,sudo,ca-certificates,iproute2,procps,kmod,gnupg,openssh-server \
        --customize-hook='rm -f "$1"/lib/systemd/system/multi-user.target.wants/getty.target "$1"/lib/systemd/system/local-fs.target.wants/* "$1"/lib/systemd/system/sockets.target.wants/*udev* "$1"/lib/systemd/system/sysinit.target.wants/*udev*' \
        --customize-hook='chroot "$1" systemctl mask systemd-logind.service getty.target console-getty.service systemd-remount-fs.service systemd-timesyncd.service >/dev/null 2>&1 || true' \
        --customize-hook='rm -f "$1"/etc/machine-id; touch "$1"/etc/machine-id' \
        "$suite" "$tar"
    base=$(docker import --change 'ENV container=docker' --change 'CMD ["/lib/systemd/systemd"]' "$tar")
    printf 'FROM %s\nSTOPSIGNAL SIGRTMIN+3\nRUN touch -d @0 /var/lib/apt/lists\n' "$base" | build
    ;;
docker)
    "$0" bare
    build <<'DOCKERFILE'
FROM face-app-test-host:bare
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends docker.io iptables python3-requests e2fsprogs \
    && rm -rf /var/lib/apt/lists/* && touch -d @0 /var/lib/apt/lists
DOCKERFILE
    ;;
*)
    echo "host_image.sh: $kind is neither bare nor docker" >&2
    exit 2
    ;;
esac
