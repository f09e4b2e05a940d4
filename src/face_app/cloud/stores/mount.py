"""Store faces in a bucket mounted by s3fs, as in the original homework; confirm each through the S3 API."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from face_app.cloud.stores.mountinfo import MountEntry, mount_of
from face_app.cloud.stores.open_folder import open_path, subfolder, write_file
from face_app.cloud.stores.probe import Probe
from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.cloud.stores.store import Outcome, Stored, safe_parts
from face_app.common.errors import StoreError

S3FS_TYPE = "fuse.s3fs"
"""File system type of a mount of s3fs in ``/proc/self/mountinfo``."""


class MountStore:
    """Writes files through s3fs, and confirms each by HEAD, or by GET if the ETag differs."""

    def __init__(self, path: Path, bucket: S3Bucket) -> None:
        """Use the mount at `path`, which must contain the root of `bucket`."""
        self._path = path
        self._bucket = bucket
        self._probe = Probe(path)

    def put(self, key: str, data: bytes, sha256: str) -> Stored:
        """Store bytes under a key; see `Store.put`.

        After an error of s3fs the object may or may not exist. So if the file already exists, the bucket decides: with
        the same bytes the object is stored already, otherwise the file is written again.
        """
        *folders, name = safe_parts(key)
        with self._translate_errors(), self._mount() as root, subfolder(root, folders, durable=False) as folder:
            outcome: Outcome = "created"
            try:
                write_file(name, data, os.O_CREAT | os.O_EXCL, folder=folder)
            except FileExistsError:
                matches = self._bucket.matches(key, data, sha256)
                if matches:
                    return Stored("already")
                # Without an object in the bucket, s3fs still lists one that was deleted there.
                if matches is False:
                    self._bucket.refuse_replacing(key)
                    outcome = "repaired"
                write_file(name, data, os.O_CREAT | os.O_TRUNC, folder=folder)
            self._confirm(key, data, sha256)
        return Stored(outcome)

    def check(self) -> None:
        """Check that the mount and the bucket exist and answer."""
        with self._translate_errors(), self._mount():
            self._bucket.check()

    def _confirm(self, key: str, data: bytes, sha256: str) -> None:
        if not self._bucket.matches(key, data, sha256):
            raise StoreError(
                f"mount {self._path} accepted an object that is not in {self._bucket.where}; "
                "mount that bucket there, or change store.bucket"
            )

    @contextmanager
    def _mount(self) -> Iterator[int]:
        """Open the root of the mount while the context lasts.

        Writes relative to this descriptor reach s3fs, even if the mount is removed meanwhile.

        Raises:
            StoreError: No bucket is mounted at the path, the mount is read-only, or it does not answer.
        """
        with open_path(self._path, os.O_PATH | os.O_DIRECTORY) as root:
            entry = mount_of(root)
            if entry is None or entry.type != S3FS_TYPE or entry.point != str(self._path):
                raise StoreError(self._explain_missing_mount(root, entry))
            if entry.read_only:
                raise StoreError(f"mount {self._path} is read-only; mount it without the option ro")
            self._probe.check()
            yield root

    def _explain_missing_mount(self, root: int, entry: MountEntry | None) -> str:
        # The kernel knows the path of the open folder without symbolic links.
        real_path = Path(f"/proc/self/fd/{root}").readlink()
        if entry and entry.type == S3FS_TYPE and entry.point == str(real_path):
            return f"mount {self._path}: the path contains a symbolic link; set store.path to {real_path}"
        return f"mount {self._path}: no bucket is mounted there; mount it, or change store.path"

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"mount {self._path}: {error.strerror}; {self._advice(error.errno)}") from error

    def _advice(self, number: int | None) -> str:
        if number in {errno.EACCES, errno.EPERM}:
            return f"see the log of s3fs; its passwd_file and url must open {self._bucket.where}"
        if number in {errno.ENOSPC, errno.EDQUOT}:
            return "free space where s3fs puts its temporary files, or in the store"
        if number == errno.ENOTCONN:
            return "s3fs has died; mount the bucket again"
        return "see the log of s3fs"
