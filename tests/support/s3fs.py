"""A real s3fs mount."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.processes import process
from support.seaweedfs import SeaweedFS

OPTIONS = ("use_path_request_style", "enable_noobj_cache", "notsup_compat_dir", "enable_content_md5")
QUICK = ("retries=1", "connect_timeout=3", "readwrite_timeout=5")


@dataclass(frozen=True)
class S3fs:
    """A mounted bucket.

    Attributes:
        path: Where.
        process: s3fs in the foreground, for tests that freeze or kill it.
    """

    path: Path
    process: subprocess.Popen[bytes]

    def unmount(self) -> None:
        """Unmount, even while it is in use."""
        subprocess.run(["umount", "-l", self.path], check=True)


def mounted(path: Path) -> bool:
    """Return whether anything is mounted on exactly this path."""
    point = str(path).replace("\\", "\\134").replace(" ", "\\040")
    return any(line.split()[4] == point for line in Path("/proc/self/mountinfo").read_text().splitlines())


def s3fs_command(endpoint: str, credentials: Path, bucket: str, path: Path) -> list[str | Path]:
    """Return the command that mounts a bucket in the foreground."""
    program = shutil.which("s3fs")
    if not program:
        raise FileNotFoundError("s3fs is not installed")
    options = (f"url={endpoint}", f"passwd_file={credentials}", "dbglevel=warn", *OPTIONS, *QUICK)
    return [program, bucket, path, "-f", "-o", ",".join(options)]


@contextmanager
def s3fs_mount(server: SeaweedFS, bucket: str, path: Path, *, log: Path) -> Iterator[S3fs]:
    """Mount a bucket of a server; unmount, also a dead or doubly stacked mount, when the context ends.

    Args:
        server: Whose bucket.
        bucket: Which; it must exist.
        path: An empty folder.
        log: Where s3fs writes.
    """
    with process(s3fs_command(server.endpoint, server.credentials, bucket, path), log) as running:
        try:
            deadline = time.monotonic() + 90
            while not mounted(path):
                if running.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"s3fs did not mount {bucket} on {path}: see {log}")
                time.sleep(0.02)
            yield S3fs(path, running)
        finally:
            while mounted(path):
                subprocess.run(["umount", "-l", path], check=False)
