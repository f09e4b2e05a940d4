"""A plain folder: no S3 at all."""

import hashlib
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from face_app.cloud.stores.open_folder import opened, read_file, subfolder, write_file
from face_app.cloud.stores.store import Outcome, Stored, safe_parts
from face_app.common.errors import StoreError

INCOMING = ".incoming"
"""Files on their way. A kill can leave some; an hour later nobody works on them any more."""

ABANDONED_AFTER = 3600.0


class DirectoryStore:
    """Objects are files; a file has its name only when all of it is on disk."""

    def __init__(self, path: Path) -> None:
        """Name the folder. It is never made here: where a disk is not mounted, its folder would be made underneath."""
        self._path = path

    def put(self, key: str, data: bytes, sha256: str) -> Stored:
        """Keep bytes under a key; see `Store.put`."""
        *folders, name = safe_parts(key)
        try:
            with (
                opened(self._path, os.O_RDONLY | os.O_DIRECTORY) as root,
                subfolder(root, [INCOMING], durable=True) as incoming,
                subfolder(root, folders, durable=True) as folder,
            ):
                outcome = _place(name, data, folder, incoming)
                if hashlib.sha256(read_file(name, folder=folder)).hexdigest() != sha256:
                    raise StoreError(f"store.path {self._path}: a file reads back with other bytes; check the disk")
        except OSError as error:
            raise self._explain(error) from error
        return Stored(outcome)

    def check(self) -> None:
        """See that the folder is there and can be written; sweep up after killed programs."""
        try:
            with (
                opened(self._path, os.O_RDONLY | os.O_DIRECTORY) as root,
                subfolder(root, [INCOMING], durable=True) as incoming,
            ):
                _sweep(incoming)
                probe = f"check-{secrets.token_hex(8)}"
                write_file(probe, b"x", os.O_CREAT | os.O_EXCL, folder=incoming)
                os.unlink(probe, dir_fd=incoming)
        except OSError as error:
            raise self._explain(error) from error

    def _explain(self, error: OSError) -> StoreError:
        if not self._path.is_dir():
            return StoreError(
                f"store.path {self._path} is not there: {error.strerror}; mount its disk, "
                "or let `face-app bucket ensure` make it"
            )
        return StoreError(
            f"store.path {self._path} cannot be written: {error.strerror}; make room, or correct the path or its owner"
        )


def _place(name: str, data: bytes, folder: int, incoming: int) -> Outcome:
    temporary = f"{name}.{secrets.token_hex(8)}"
    try:
        write_file(temporary, data, os.O_CREAT | os.O_EXCL, folder=incoming)
        outcome: Outcome = "created"
        try:
            # A link, unlike a rename, never replaces what is there.
            os.link(temporary, name, src_dir_fd=incoming, dst_dir_fd=folder)
        except FileExistsError:
            outcome = "already"
            if read_file(name, folder=folder) != data:
                os.rename(temporary, name, src_dir_fd=incoming, dst_dir_fd=folder)
                outcome = "repaired"
        os.fsync(folder)
    finally:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=incoming)
    return outcome


def _sweep(incoming: int) -> None:
    for name in os.listdir(incoming):
        with suppress(FileNotFoundError):  # its owner may be about to finish
            if os.stat(name, dir_fd=incoming).st_mtime < time.time() - ABANDONED_AFTER:
                os.unlink(name, dir_fd=incoming)
