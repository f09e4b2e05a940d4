"""Store faces in a plain folder, without S3."""

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from face_app.cloud.stores.open_folder import open_path, read_file, subfolder, write_file
from face_app.cloud.stores.store import Outcome, Stored, refuse_replacing, safe_parts
from face_app.common.errors import StoreError

INCOMING = ".incoming"
"""Folder of incomplete uploads. A killed process leaves some there; `check` deletes them after an hour."""
ABANDONED_AFTER = 3600.0
"""Seconds after its last write until an incomplete upload counts as abandoned."""


class DirectoryStore:
    """Stores objects as files; a file gets its name only after all its bytes are on disk."""

    def __init__(self, path: Path) -> None:
        """Use an existing folder. Creating it could hide a missing mount."""
        self._path = path

    def put(self, key: str, data: bytes, sha256: str) -> Stored:
        """Store bytes under a key; see `Store.put`."""
        with self._opened(key) as (name, folder, incoming):
            outcome = _place(key, data, folder=folder, incoming=incoming)
            if hashlib.sha256(read_file(name, folder=folder)).hexdigest() != sha256:
                raise StoreError(f"store.path {self._path}: a file has other bytes when read back; check the disk")
        return Stored(outcome)

    def replace(self, key: str, data: bytes) -> None:
        """Store bytes under a key, in place of those that are there; a reader sees the old ones or the new ones.

        Raises:
            StoreError: The bytes may not be on disk.
            MessageError: The key is not a relative path of plain names (`safe_parts`).
        """
        with self._opened(key) as (name, folder, incoming), _temporary(name, data, incoming) as temporary:
            os.rename(temporary, name, src_dir_fd=incoming, dst_dir_fd=folder)
            os.fsync(folder)

    @contextmanager
    def _opened(self, key: str) -> Iterator[tuple[str, int, int]]:
        """Open the folders of an object and of incomplete uploads; yield its name and both."""
        *folders, name = safe_parts(key)
        try:
            with (
                open_path(self._path, os.O_RDONLY | os.O_DIRECTORY) as root,
                subfolder(root, [INCOMING], durable=True) as incoming,
                subfolder(root, folders, durable=True) as folder,
            ):
                yield name, folder, incoming
        except OSError as error:
            raise self._translate(error) from error

    def check(self) -> None:
        """Check that the folder exists and is writable; delete abandoned files."""
        try:
            with (
                open_path(self._path, os.O_RDONLY | os.O_DIRECTORY) as root,
                subfolder(root, [INCOMING], durable=True) as incoming,
            ):
                _delete_abandoned(incoming)
                probe = f"check-{secrets.token_hex(8)}"
                write_file(probe, b"x", os.O_CREAT | os.O_EXCL, folder=incoming)
                os.unlink(probe, dir_fd=incoming)
        except OSError as error:
            raise self._translate(error) from error

    def _translate(self, error: OSError) -> StoreError:
        if not self._path.is_dir():
            return StoreError(
                f"store.path {self._path} does not exist: {error.strerror}; mount its disk, "
                "or create it with `face-app bucket ensure`"
            )
        return StoreError(
            f"store.path {self._path} cannot be written: {error.strerror}; free space, or correct the path or its owner"
        )


def _place(key: str, data: bytes, *, folder: int, incoming: int) -> Outcome:
    """Write a temporary file, then link it under its name; replace a file whose bytes do not fit it."""
    name = key.rpartition("/")[2]
    with _temporary(name, data, incoming) as temporary:
        outcome: Outcome = "created"
        try:
            # Unlike a rename, a link never replaces a file.
            os.link(temporary, name, src_dir_fd=incoming, dst_dir_fd=folder)
        except FileExistsError:
            outcome = "already"
            present = read_file(name, folder=folder)
            if present != data:
                refuse_replacing(key, present)
                os.rename(temporary, name, src_dir_fd=incoming, dst_dir_fd=folder)
                outcome = "repaired"
        os.fsync(folder)
    return outcome


@contextmanager
def _temporary(name: str, data: bytes, incoming: int) -> Iterator[str]:
    """Write a file for a rename or a link; delete it afterwards if it is still there."""
    temporary = f"{name}.{secrets.token_hex(8)}"
    try:
        write_file(temporary, data, os.O_CREAT | os.O_EXCL, folder=incoming)
        yield temporary
    finally:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=incoming)


def _delete_abandoned(incoming: int) -> None:
    for name in os.listdir(incoming):
        with suppress(FileNotFoundError):  # its writer has finished meanwhile
            if os.stat(name, dir_fd=incoming).st_mtime < time.time() - ABANDONED_AFTER:
                os.unlink(name, dir_fd=incoming)
