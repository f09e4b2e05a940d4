"""Export faces as a ZIP file, for a person's right to a copy: the images as they are stored, and `metadata.json`.

The file is made piece by piece: memory has one image, and for each face a line of its directory.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from face_app.cloud.bucket.find_faces import FaceFinder
from face_app.cloud.bucket.open_versions import open_versions
from face_app.cloud.bucket.selection import Selection
from face_app.common import settings
from face_app.common.errors import MessageError
from face_app.common.metadata import read_metadata

METADATA = "metadata.json"
SPOOL_BYTES = 4_000_000
"""Bytes of the metadata that stay in memory; more are written to a temporary file."""
THREADS = 8
"""Maximum number of parallel requests."""
CHUNK = 65_536


class _Buffer(io.RawIOBase):
    """Takes what a ZIP file writes, until it is handed on."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def export_zip(
    store: settings.Store, selection: Selection, *, on_face: Callable[[str], None] = lambda _: None
) -> Iterator[bytes]:
    """Yield a ZIP file piece by piece.

    Args:
        store: Store of the faces.
        selection: Faces to export, those that readers see: no hidden version, nothing of quarantine.
        on_face: Called with the key of each face before its image is yielded.

    Raises:
        StoreError: The bucket does not answer; the file is then incomplete.
        SettingsError: The credentials file cannot be read.
    """
    finder = FaceFinder(open_versions(store, connections=THREADS, current_only=True))
    buffer = _Buffer()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive,
        SpooledTemporaryFile(max_size=SPOOL_BYTES) as entries,
    ):
        for found in finder.faces(selection):
            data = finder.versions.read(found.key, found.versions[-1])
            if data is None:
                continue  # erased since the listing
            on_face(found.key)
            archive.writestr(found.key, data)
            separator = b",\n" if entries.tell() else b""
            entries.write(separator + json.dumps(_entry(found.key, data)).encode())
            yield buffer.take()
        with archive.open(METADATA, "w") as file:
            for piece in _document(selection, entries, finder.unreadable):
                file.write(piece)
                yield buffer.take()
    yield buffer.take()


def _entry(key: str, data: bytes) -> dict[str, Any]:
    """Describe one face; its metadata is null if it cannot be read."""
    entry: dict[str, Any] = {"file": key, "sha256": hashlib.sha256(data).hexdigest(), "id": None, "metadata": None}
    try:
        face_id, metadata = read_metadata(data)
    except MessageError:
        return entry
    if face_id and metadata:
        entry["id"] = str(face_id)
        entry["metadata"] = {**asdict(metadata), "captured_at": metadata.captured_at.isoformat()}
    return entry


def _document(selection: Selection, entries: IO[bytes], unreadable: list[str]) -> Iterator[bytes]:
    head = {"version": 1, "exported_at": datetime.now(timezone.utc).isoformat(), "selection": selection.document()}
    # Faces that may be in the range, and are excluded.
    head["not_comparable"] = sorted(unreadable)
    yield json.dumps(head)[:-1].encode() + b', "faces": [\n'
    entries.seek(0)
    while chunk := entries.read(CHUNK):
        yield chunk
    yield b"\n]}\n"
