"""Where a face waits, on disk, until the cloud has it.

A face is committed when `Outbox.add` returns. From then on it is in the file with its number, its whole image and its
hash, and nothing but a receipt changes it. Several threads and processes may use one file at once.
"""

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from face_app.edge.image import Encoded
from face_app.edge.outbox_file import explained, open_outbox, transaction
from face_app.errors import OutboxUnavailableError
from face_app.metadata import FaceMetadata, write_metadata
from face_app.wire import FaceId, FaceTopic, Receipt, object_key

PAGE = 4096
"""Bytes of a page; SQLite's default."""
RESERVE = 8 * 1024 * 1024
"""Bytes of free disk that new faces leave alone, or a full disk could not note that faces are stored and never
empty itself. Twice what SQLite's log grows to between two checkpoints (1,000 pages)."""
SPARE = 2048
"""Free pages that the file keeps for the next faces. Those beyond them, and beyond half the file, go to the disk."""
GIVE_BACK = 1000
"""Pages that go back at a time: some 50 ms during which no face is committed."""
LARGEST = 2**63 - 1
"""Largest number SQLite counts to; a foreign receipt may hold a larger one."""


@dataclass(frozen=True)
class NewFace:
    """A face that is not committed yet.

    Attributes:
        image: Its pixels, encoded.
        describe: Makes the metadata, once the face has a number.
    """

    image: Encoded
    describe: Callable[[FaceId], FaceMetadata]


@dataclass(frozen=True)
class Face:
    """A face of the outbox.

    Attributes:
        id: Which face.
        key: Name of its object.
        sha256: Hex digest of its file.
        score: How good a picture it is, 0 to 1.
        captured_at: When its frame was taken, seconds since 1970.
        state: ``waiting``, ``stored`` or ``refused``.
        reason: Why the cloud refused it; empty otherwise.
        stored_at: When its receipt came, by this machine's clock, seconds since 1970.
    """

    id: FaceId
    key: str
    sha256: str
    score: float
    captured_at: float
    state: str = "waiting"
    reason: str = ""
    stored_at: float | None = None


@dataclass(frozen=True)
class Tally:
    """How many faces are in which state."""

    waiting: int
    stored: int
    refused: int


class Outbox:
    """The faces of one file.

    Attributes:
        id: 8 hex digits, made with the file.
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            OutboxError: It cannot be opened or written, is no outbox, or is of a later format.
        """
        self.path = path.expanduser()
        self._connection, self.id = open_outbox(self.path)
        self._lock = threading.Lock()
        self._run = secrets.token_hex(4)
        self._added = 0
        ((self._before,),) = self._read("SELECT sequence FROM outbox")

    def __enter__(self) -> "Outbox":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def add(self, faces: Sequence[NewFace]) -> list[Face]:
        """Commit faces, all or none: number them, write the metadata into each, keep them.

        Raises:
            OutboxUnavailableError: Not now; none is kept.
            OutboxError: Not ever; none is kept.
        """
        with self._lock, explained(self.path):
            self._keep_room(faces)
            with transaction(self._connection):
                ((last,),) = self._connection.execute(
                    "UPDATE outbox SET sequence = sequence + ? RETURNING sequence", (len(faces),)
                ).fetchall()
                start = last - len(faces) + 1
                added = [self._insert(FaceId(self.id, number), face) for number, face in enumerate(faces, start)]
            self._added += len(added)
        return added

    def _keep_room(self, faces: Sequence[NewFace]) -> None:
        disk = os.statvfs(self.path)
        if disk.f_bavail * disk.f_frsize >= RESERVE:
            return
        ((free,),) = self._connection.execute("PRAGMA freelist_count").fetchall()
        if free < sum(len(face.image.data) // PAGE + 4 for face in faces):
            raise OutboxUnavailableError(
                f"outbox {self.path}: less than {RESERVE >> 20} MiB free; make room on its disk"
            )

    def _insert(self, face_id: FaceId, new: NewFace) -> Face:
        metadata = new.describe(face_id)
        pixels = write_metadata(new.image.data, metadata)
        sha256 = hashlib.sha256(pixels).hexdigest()
        topic = FaceTopic(metadata.edge, metadata.camera)
        key = object_key(topic, face_id, metadata.captured_at, sha256, new.image.suffix)
        face = Face(face_id, key, sha256, metadata.shot_score, metadata.captured_at.timestamp())
        self._connection.execute(
            "INSERT INTO faces (sequence, id, run, topic, key, sha256, captured_at, score)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (face_id.sequence, str(face_id), self._run, str(topic), key, sha256, face.captured_at, face.score),
        )
        self._connection.execute("INSERT INTO pixels VALUES (?, ?)", (face_id.sequence, pixels))
        return face

    def settle(self, receipts: Iterable[Receipt]) -> list[tuple[int, Receipt]]:
        """Note what the cloud says.

        A face loses its pixels only by a ``stored`` receipt that names both its id and its hash. A refused one keeps
        them; its receipt may know the hash alone.

        Returns:
            Sequence and receipt of each face that changed; a receipt that fits no face changes none.

        Raises:
            OutboxError: None of it is noted; the same receipts may be given again.
        """
        with self._lock, explained(self.path), transaction(self._connection):
            return [(sequence, receipt) for receipt in receipts for sequence in self._settle(receipt)]

    def _settle(self, receipt: Receipt) -> list[int]:
        values = {"now": time.time(), "reason": receipt.reason, "sha256": receipt.sha256, "sequence": 0}
        if receipt.result == "refused":
            query = "UPDATE faces SET state = 'refused', reason = :reason WHERE state = 'waiting'"
        else:
            query = "UPDATE faces SET state = 'stored', reason = '', stored_at = :now WHERE state <> 'stored'"
        query += " AND sha256 = :sha256"
        if receipt.id is not None:
            if receipt.id.outbox != self.id or receipt.id.sequence > LARGEST:
                return []
            values["sequence"] = receipt.id.sequence
            query += " AND sequence = :sequence"
        elif receipt.result == "stored":
            return []
        rows = self._connection.execute(f"{query} RETURNING sequence", values).fetchall()
        if receipt.result == "stored":
            self._connection.executemany("DELETE FROM pixels WHERE sequence = ?", rows)
        return [sequence for (sequence,) in rows]

    def give_back(self) -> None:
        """Give some free pages back to the disk, where there are more than the next faces need.

        Raises:
            OutboxError: Not now.
        """
        with self._lock, explained(self.path):
            ((free,),) = self._connection.execute("PRAGMA freelist_count").fetchall()
            ((pages,),) = self._connection.execute("PRAGMA page_count").fetchall()
            if free > max(SPARE, pages // 2):
                # As a script: `execute` would stop after the first page.
                self._connection.executescript(f"PRAGMA incremental_vacuum({GIVE_BACK})")

    def waiting(self, after: int, limit: int) -> list[int]:
        """Give the sequences of the oldest waiting faces behind `after`, at most `limit`."""
        rows = self._read(
            "SELECT sequence FROM faces WHERE state = 'waiting' AND sequence > ? ORDER BY sequence LIMIT ?",
            (after, limit),
        )
        return [sequence for (sequence,) in rows]

    def message(self, sequence: int) -> tuple[str, bytes] | None:
        """Give the topic and the payload of a face that waits; None for any other."""
        rows = self._read(
            "SELECT topic, file FROM faces JOIN pixels USING (sequence) WHERE sequence = ? AND state = 'waiting'",
            (sequence,),
        )
        return rows[0] if rows else None

    def backlog(self) -> tuple[int, float]:
        """Count all waiting faces, and tell the age of the oldest in seconds (0 where none waits)."""
        ((waiting,),) = self._read("SELECT count(*) FROM faces WHERE state = 'waiting'")
        oldest = self._read("SELECT captured_at FROM faces WHERE state = 'waiting' ORDER BY sequence LIMIT 1")
        return waiting, max(0.0, time.time() - oldest[0][0]) if oldest else 0.0

    def tally(self) -> Tally:
        """Count the faces that this `Outbox` has added."""
        ((waiting, refused),) = self._read(
            "SELECT (SELECT count(*) FROM faces WHERE state = 'waiting' AND sequence > :before AND run = :run),"
            " (SELECT count(*) FROM faces WHERE state = 'refused' AND sequence > :before AND run = :run)",
            {"before": self._before, "run": self._run},
        )
        return Tally(waiting, self._added - waiting - refused, refused)

    def faces(self) -> list[Face]:
        """List the faces that this `Outbox` has added, the oldest first."""
        rows = self._read(
            "SELECT id, key, sha256, score, captured_at, state, reason, stored_at FROM faces"
            " WHERE sequence > :before AND run = :run ORDER BY sequence",
            {"before": self._before, "run": self._run},
        )
        return [Face(FaceId.parse(face_id), *rest) for face_id, *rest in rows]

    def _read(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        with self._lock, explained(self.path):
            return self._connection.execute(query, values).fetchall()
