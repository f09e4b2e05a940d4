"""Read the metadata of faces that a page shows, once, and record it in the index."""

import json
import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timezone

from face_app.cloud.bucket.selection import visit_of
from face_app.cloud.gallery.face_key import FaceKey
from face_app.cloud.gallery.index_writer import Detail, IndexWriter
from face_app.cloud.gallery.objects import Objects
from face_app.common.errors import MessageError, StoreError
from face_app.common.metadata import read_metadata

log = logging.getLogger(__name__)

THREADS = 16
"""Objects that are read in parallel."""


class DetailReader:
    """Reads metadata from the bucket into the index. Thread-safe."""

    def __init__(self, objects: Objects, writer: IndexWriter) -> None:
        self._objects = objects
        self._writer = writer
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="details")

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    def read(self, keys: Iterable[FaceKey]) -> bool:
        """Read the metadata of faces; remove those that the bucket no longer has.

        Returns:
            False if the bucket does not answer, so that some remain unread.
        """
        details: list[Detail] = []
        answered = True
        for key, found in self.fetch(keys):
            if isinstance(found, Detail):
                details.append(found)
            elif isinstance(found, StoreError):
                answered = False
            else:
                self._writer.remove(key)
        if details:
            self._writer.record(details)
        return answered

    def fetch(self, keys: Iterable[FaceKey]) -> Iterator[tuple[FaceKey, Detail | StoreError | None]]:
        """Yield what the metadata of each face says, without the index; None if the bucket has no such face."""
        return self._pool.map(self._read, keys)

    def _read(self, key: FaceKey) -> tuple[FaceKey, Detail | StoreError | None]:
        try:
            data = self._objects.get(key.key)
        except StoreError as error:
            return key, error
        return key, None if data is None else detail_of(key, data)


def detail_of(key: FaceKey, data: bytes) -> Detail:
    """Return what the metadata of an object says; broken metadata yields a detail without a document."""
    try:
        face_id, metadata = read_metadata(data)
    except MessageError as error:
        log.info("the metadata of %s cannot be read: %s", key.key, error)
        return Detail(key, None, "", "")
    if face_id is None or metadata is None:
        return Detail(key, None, "", "")
    at = metadata.captured_at.astimezone(timezone.utc)
    # The key names the edge; a file can claim anything.
    document = {**asdict(metadata), "id": str(face_id), "captured_at": at.isoformat()}
    try:
        text = json.dumps(document, allow_nan=False, ensure_ascii=False)
        text.encode()
    except ValueError:  # a number or a character that no answer can have: no edge writes one
        return Detail(key, None, "", "")
    return Detail(key, round(at.timestamp() * 1000), f"{key.edge}/{visit_of(key.key, metadata)}", text)
