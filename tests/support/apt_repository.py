"""Serve a copy of Docker's APT repository with throw-away keys and a real engine: the distribution's, repacked."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from support.hosts import Host

PORT = 8470
ROOT = "/srv/apt/debian"
DISTRIBUTION = "dists/bookworm"
# The dependencies and files of each package; the files come from the image of hosts with the distribution's engine.
PACKAGES = {
    "docker-ce": (
        "containerd.io, docker-ce-cli, iptables, libdevmapper1.02.1, libsystemd0",
        (
            *("/usr/sbin/dockerd", "/usr/sbin/docker-proxy"),
            *("/lib/systemd/system/docker.service", "/lib/systemd/system/docker.socket"),
        ),
    ),
    "docker-ce-cli": ("libc6", ("/usr/bin/docker",)),
    "containerd.io": (
        "libseccomp2",
        (
            *("/usr/bin/containerd", "/usr/bin/containerd-shim-runc-v2", "/usr/sbin/runc"),
            "/lib/systemd/system/containerd.service",
        ),
    ),
}
# As Docker's own packages do.
AFTER_INSTALLATION = {
    "docker-ce": "getent group docker >/dev/null || groupadd --system docker\nsystemctl enable --now docker.service\n",
    "containerd.io": "systemctl enable --now containerd.service\n",
}


@dataclass(frozen=True)
class AptRepository:
    """A repository that its host serves to itself.

    Attributes:
        host: The host.
        url: For ``docker_engine_apt_url``.
        index: Path of its list of packages.
        key: Fingerprint of the key that signs it.
        other_key: Fingerprint of another key.
    """

    host: Host
    url: str
    index: str
    key: str
    other_key: str

    def offer(self, *keys: str) -> None:
        """Publish keys as the repository's own."""
        self.host.write(f"{ROOT}/gpg", self.host.run("gpg", "--armor", "--export", *keys) + "\n")

    def sign(self, key: str) -> None:
        """Sign the present index."""
        self._shell(
            f"""
            cd {ROOT}/{DISTRIBUTION}
            {{
                printf 'Suite: bookworm\\nCodename: bookworm\\nComponents: stable\\n'
                echo "Architectures: $(dpkg --print-architecture)"
                echo "Date: $(date --utc --rfc-email | sed 's/+0000/UTC/')"
                echo SHA256:
                for file in $(find stable -type f); do
                    echo " $(sha256sum $file | cut -d' ' -f1) $(stat --format=%s $file) $file"
                done
            }} >Release
            gpg --batch --yes --local-user {key} --output InRelease --clear-sign Release
            """
        )

    @contextmanager
    def tampered(self, path: str) -> Iterator[None]:
        """Change a file whose checksum was signed, at the same length; afterwards restore it."""
        self._shell(f"cd {ROOT}; cp {path} /srv/good; truncate --size=-1 {path}; printf X >>{path}")
        try:
            yield
        finally:
            self._shell(f"mv /srv/good {ROOT}/{path}")

    def _shell(self, script: str) -> None:
        self.host.run("sh", "-euc", script)


def serve_apt_repository(host: Host) -> AptRepository:
    """Build a repository on a host of the image ``bare``, and serve it on the loopback there."""
    for name, (_, files) in PACKAGES.items():
        _unpack(host, f"/srv/{name}", files)
    for name, (needs, _) in PACKAGES.items():
        _pack(host, name, needs)
    index = f"{DISTRIBUTION}/stable/binary-{host.run('dpkg', '--print-architecture')}/Packages"
    _list_packages(host, index)
    repository = AptRepository(
        host, f"http://127.0.0.1:{PORT}", index, _make_key(host, "own"), _make_key(host, "other")
    )
    repository.sign(repository.key)
    repository.offer(repository.key)
    serve = ["python3", "-m", "http.server", f"--directory={ROOT}/..", "--bind=127.0.0.1", str(PORT)]
    host.run("systemd-run", "--unit=apt-repository", *serve)
    host.wait_for(
        "python3", "-c", f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{PORT}/debian/gpg')"
    )
    return repository


def _unpack(host: Host, folder: str, files: tuple[str, ...]) -> None:
    """Copy files from the image of hosts with an engine into a folder of a host."""
    host.run("mkdir", "--parents", folder)
    pack = ["docker", "run", "--rm", "face-app-test-host:docker", "tar", "--create", "--dereference", *files]
    unpack = ["docker", "exec", "-i", host.name, "tar", "--extract", f"--directory={folder}"]
    with subprocess.Popen(pack, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as packed:
        subprocess.run(unpack, stdin=packed.stdout, check=True)
    assert packed.returncode == 0


def _pack(host: Host, name: str, needs: str) -> None:
    folder = f"/srv/{name}/DEBIAN"
    host.run("mkdir", "--parents", folder, f"{ROOT}/pool")
    control = {
        "Package": name,
        "Version": "5:99.0-1",
        "Architecture": host.run("dpkg", "--print-architecture"),
        "Maintainer": "face-app's tests",
        "Depends": needs,
        "Description": "Docker's package of this name, as a test has it",
    }
    host.write(f"{folder}/control", "".join(f"{field}: {value}\n" for field, value in control.items()))
    host.write(f"{folder}/postinst", f"#!/bin/sh\nset -e\n{AFTER_INSTALLATION.get(name, '')}")
    host.run("chmod", "0755", f"{folder}/postinst")
    host.run("dpkg-deb", "--root-owner-group", "-Znone", "--build", f"/srv/{name}", f"{ROOT}/pool/{name}.deb")


def _list_packages(host: Host, index: str) -> None:
    host.run(
        "sh",
        "-euc",
        f"""
        cd {ROOT}
        mkdir --parents {index.rpartition("/")[0]}
        for file in pool/*.deb; do
            dpkg-deb --field $file
            printf 'Filename: %s\\nSize: %s\\nSHA256: %s\\n\\n' \
                $file $(stat --format=%s $file) $(sha256sum $file | cut -d' ' -f1)
        done >{index}
        """,
    )


def _make_key(host: Host, name: str) -> str:
    """Make a throw-away key in the host's own keyring, and return its fingerprint."""
    host.run(
        "gpg", "--batch", "--passphrase", "", "--quick-generate-key", f"{name}@apt.test", "rsa2048", "sign", "never"
    )
    listed = host.run("gpg", "--with-colons", "--list-keys", f"{name}@apt.test")
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
