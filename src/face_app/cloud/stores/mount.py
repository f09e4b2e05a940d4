"""Store faces in a bucket mounted by s3fs, as in the original homework; confirm each through the S3 API."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from face_app.cloud.stores.open_folder import open_path, subfolder, write_file
from face_app.cloud.stores.probe import Probe
from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.cloud.stores.store import Stored, safe_parts
from face_app.common.errors import StoreError

KIND = "fuse.s3fs"
"""File system type of a mount of s3fs in ``/proc/self/mountinfo``."""


class MountStore:
    """Writes files through s3fs, and confirms each by a HEAD on the bucket."""

    def __init__(self, path: Path, bucket: S3Bucket) -> None:
        """Use the mount at `path`, which must contain the root of `bucket`."""
        self._path = path
        self._bucket = bucket
        self._probe = Probe(path)

    def put(self, key: str, data: bytes, sha256: str) -> Stored:
        """Store bytes under a key; see `Store.put`.

        After an error of s3fs the object may or may not exist. So the next attempt asks the bucket if the key is taken.
        """
        *folders, name = safe_parts(key)
        with self._translate_errors(), self._mount() as root, subfolder(root, folders, durable=False) as folder:
            try:
                write_file(name, data, os.O_CREAT | os.O_EXCL, folder=folder)
            except FileExistsError:
                if self._bucket.matches(key, data, sha256):
                    return Stored("already")
                write_file(name, data, os.O_CREAT | os.O_TRUNC, folder=folder)
                self._confirm(key, data, sha256)
                return Stored("repaired")
        self._confirm(key, data, sha256)
        return Stored("created")

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

        Writes below this descriptor reach s3fs, even if the mount is removed meanwhile.

        Raises:
            StoreError: No bucket is mounted at the path, the mount is read-only, or it does not answer.
        """
        with open_path(self._path, os.O_PATH | os.O_DIRECTORY) as root:
            entry = mount_of(root)
            if entry is None or entry.kind != KIND or entry.point != str(self._path):
                raise StoreError(f"mount {self._path}: no bucket is mounted there; mount it, or change store.path")
            if entry.read_only:
                raise StoreError(f"mount {self._path} is read-only; mount it without the option ro")
            self._probe.check()
            yield root

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"mount {self._path}: {error.strerror}; see the log of s3fs; its passwd_file and url must open "
                f"{self._bucket.where}"
            ) from error


_OCTAL = re.compile(r"\\([0-7]{3})")  # mountinfo writes a space as \040


@dataclass(frozen=True)
class MountEntry:
    """Contains one line of ``/proc/self/mountinfo``, see proc_pid_mountinfo(5).

    Attributes:
        id: Number of the mount, as in ``/proc/self/fdinfo``.
        device: ``major:minor``.
        point: Mount point.
        kind: File system type, such as ``fuse.s3fs``.
        read_only: True for a read-only mount.
    """

    id: int
    device: str
    point: str
    kind: str
    read_only: bool


def mount_of(descriptor: int) -> MountEntry | None:
    """Return the mount of an open folder; None if it is no longer mounted.

    Reads from the kernel only. `fstat` on the folder would hang with a hung s3fs.
    """
    facts = dict(line.split(":", 1) for line in _lines(f"/proc/self/fdinfo/{descriptor}"))
    number = int(facts["mnt_id"])
    return next((entry for line in _lines("/proc/self/mountinfo") if (entry := _entry(line)).id == number), None)


def _lines(file: str) -> list[str]:
    return Path(file).read_text(errors="surrogateescape").splitlines()


def _entry(line: str) -> MountEntry:
    mount, _, rest = line.partition(" - ")
    number, _parent, device, _root, point, options = mount.split()[:6]
    kind, _source, more_options = rest.split(" ", 2)
    return MountEntry(
        id=int(number),
        device=device,
        point=_OCTAL.sub(lambda match: chr(int(match[1], 8)), point),
        kind=kind,
        read_only="ro" in {*options.split(","), *more_options.split(",")},
    )
