"""Builds the base image for arm64 in this machine's engine and removes old images."""

import subprocess
import tempfile
from collections.abc import Collection
from pathlib import Path

BASE = "face-app-arm64-base:trixie-slim"
SUITE = "trixie"
LABEL = "face-app.test=arm64"
"""Every image built on the base inherits it."""
LEFT_OUT = ["/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*"]


def docker(*arguments: object) -> str:
    """Run a command of Docker and return its output.

    Raises:
        CalledProcessError: It failed.
    """
    command = ["docker", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def make_base() -> None:
    """Build the base image with mmdebstrap, four minutes in emulation, or reuse an earlier one.

    Raises:
        CalledProcessError: Debian's mirror failed.
    """
    if docker("image", "ls", "--quiet", BASE):
        return
    with tempfile.TemporaryDirectory() as folder:
        tar = Path(folder, "base.tar")
        command = ["mmdebstrap", "--quiet", "--architectures=arm64", "--variant=minbase", "--format=tar"]
        command += ["--keyring=/usr/share/keyrings/debian-archive-keyring.gpg"]
        command += [*(f"--dpkgopt=path-exclude={each}" for each in LEFT_OUT), SUITE, str(tar)]
        # A new session: mmdebstrap kills its whole process group when it fails.
        subprocess.run(command, check=True, start_new_session=True)
        changes = ["--change", 'CMD ["bash"]', "--change", f"LABEL {LABEL}"]
        docker("import", "--platform=linux/arm64", *changes, tar, BASE)


def remove_older_than(tags: Collection[str]) -> None:
    """Remove images built on the base, except `tags` and the cached layers of their next build."""
    listed = docker("image", "ls", f"--filter=label={LABEL}", "--format={{.Repository}}:{{.Tag}}").split()
    for tag in set(listed) - {BASE, "<none>:<none>", *tags}:
        docker("image", "rm", tag)
