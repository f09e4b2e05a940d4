"""Access files below an open folder, never by an absolute path.

Every step is relative to a descriptor and follows no symbolic link. So a write stays below the open folder, even if
something is mounted, unmounted or linked meanwhile.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def open_path(path: str | os.PathLike[str], flags: int, *, folder: int | None = None) -> Iterator[int]:
    """Open a file or folder while the context lasts."""
    descriptor = os.open(path, flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def subfolder(root: int, names: list[str], *, durable: bool) -> Iterator[int]:
    """Open a folder below `root`; create missing levels.

    Args:
        root: Descriptor of the top folder.
        names: Names of the levels.
        durable: Sync each created folder; needs a local file system.
    """
    flags = os.O_DIRECTORY | os.O_NOFOLLOW | (os.O_RDONLY if durable else os.O_PATH)
    current = os.dup(root)
    try:
        for name in names:
            try:
                below = os.open(name, flags, dir_fd=current)
            except FileNotFoundError:
                with suppress(FileExistsError):  # another worker was faster
                    os.mkdir(name, 0o700, dir_fd=current)
                if durable:
                    os.fsync(current)
                below = os.open(name, flags, dir_fd=current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def write_file(name: str, data: bytes, flags: int, *, folder: int) -> None:
    """Write a whole file with one write, fsync and close, each checked.

    s3fs uploads at fsync, and reports a failure only there and at close.

    Args:
        name: File name.
        data: Whole content.
        flags: Open flags besides write-only, such as ``O_CREAT | O_EXCL``.
        folder: Descriptor of the folder.

    Raises:
        OSError: A step failed; the content of the file is undefined.
    """
    descriptor = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | flags, 0o600, dir_fd=folder)
    try:
        written = os.write(descriptor, data)
        if written != len(data):
            raise OSError(errno.EIO, f"only {written} of {len(data)} bytes were written")
        os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):  # the first error is raised
            os.close(descriptor)
        raise
    os.close(descriptor)


def read_file(name: str, *, folder: int) -> bytes:
    """Read a whole file."""
    with (
        open_path(name, os.O_RDONLY | os.O_NOFOLLOW, folder=folder) as descriptor,
        os.fdopen(descriptor, "rb", closefd=False) as file,
    ):
        return file.read()
