"""Files and folders below an open folder, never by an absolute path.

Every step is relative to a descriptor, and no step follows a symbolic link: what is written below an open folder
stays there, whatever is mounted, unmounted or linked in between.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def opened(path: str | os.PathLike[str], flags: int, *, folder: int | None = None) -> Iterator[int]:
    """Open a file or folder for as long as the context lasts."""
    descriptor = os.open(path, flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def subfolder(root: int, names: list[str], *, durable: bool) -> Iterator[int]:
    """Open the folder below `root`, making what is missing.

    Args:
        root: Descriptor of the folder that everything is below of.
        names: The way down.
        durable: Have each made folder on disk before going on; needs a file system of our own.
    """
    flags = os.O_DIRECTORY | os.O_NOFOLLOW | (os.O_RDONLY if durable else os.O_PATH)
    here = os.dup(root)
    try:
        for name in names:
            try:
                below = os.open(name, flags, dir_fd=here)
            except FileNotFoundError:
                with suppress(FileExistsError):  # another worker was faster
                    os.mkdir(name, 0o700, dir_fd=here)
                if durable:
                    os.fsync(here)
                below = os.open(name, flags, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def write_file(name: str, data: bytes, flags: int, *, folder: int) -> None:
    """Write a whole file with one write, fsync and close, each of them checked.

    s3fs uploads at fsync and tells of a failure only there and at close, so neither result may be lost.

    Args:
        name: Of the file.
        data: All of it.
        flags: How to open it beside write-only, such as ``O_CREAT | O_EXCL``.
        folder: Descriptor of its folder.

    Raises:
        OSError: Any step failed; what the file holds now is not known.
    """
    descriptor = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | flags, 0o600, dir_fd=folder)
    try:
        written = os.write(descriptor, data)
        if written != len(data):
            raise OSError(errno.EIO, f"only {written} of {len(data)} bytes were written")
        os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell
            os.close(descriptor)
        raise
    os.close(descriptor)


def read_file(name: str, *, folder: int) -> bytes:
    """Read a whole file."""
    with (
        opened(name, os.O_RDONLY | os.O_NOFOLLOW, folder=folder) as descriptor,
        os.fdopen(descriptor, "rb", closefd=False) as file,
    ):
        return file.read()
