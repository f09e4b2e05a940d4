"""Images for arm64 in this machine's engine: the base they are built on, and which of them are old."""

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
    """Run a command of Docker and give what it tells.

    Raises:
        CalledProcessError: It failed.
    """
    command = ["docker", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def make_base() -> None:
    """Make the base image with mmdebstrap, four minutes in emulation, or take it as it was made before.

    Raises:
        CalledProcessError: Debian did not give what is needed.
    """
    if docker("image", "ls", "--quiet", BASE):
        return
    with tempfile.TemporaryDirectory() as folder:
        tar = Path(folder, "base.tar")
        command = ["mmdebstrap", "--quiet", "--architectures=arm64", "--variant=minbase", "--format=tar"]
        command += ["--keyring=/usr/share/keyrings/debian-archive-keyring.gpg"]
        command += [*(f"--dpkgopt=path-exclude={each}" for each in LEFT_OUT), SUITE, str(tar)]
        # A session of its own: it hangs up its whole process group when it fails.
        subprocess.run(command, check=True, start_new_session=True)
        changes = ["--change", 'CMD ["bash"]', "--change", f"LABEL {LABEL}"]
        docker("import", "--platform=linux/arm64", *changes, tar, BASE)


def remove_older_than(tags: Collection[str]) -> None:
    """Remove what was built on the base, but for `tags` and what their next build takes layers from."""
    listed = docker("image", "ls", f"--filter=label={LABEL}", "--format={{.Repository}}:{{.Tag}}").split()
    for tag in set(listed) - {BASE, "<none>:<none>", *tags}:
        docker("image", "rm", tag)
