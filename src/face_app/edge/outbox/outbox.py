"""Where a face waits, on disk, until the cloud has it.

A face is committed when `Outbox.add` returns. From then on it is in the file with its number, its whole image and its
hash, and nothing but a receipt, or the operator's rule for a full outbox, changes it. Several threads and processes may
use one file at once.
"""

import hashlib
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from face_app.common.errors import OutboxDamagedError, OutboxUnavailableError
from face_app.common.metadata import write_metadata
from face_app.common.settings import OutboxFile
from face_app.common.wire import FaceId, FaceTopic, Receipt, object_key
from face_app.edge.outbox.quota import Quota, create_ballast, release_ballast
from face_app.edge.outbox.records import Face, NewFace, Visit
from face_app.edge.outbox.recovery import recover
from face_app.edge.outbox.schema import VISIT, OpenOutbox, open_outbox, transaction, translate_errors

SPARE = 2048
"""Free pages that the file keeps for the next faces. Those beyond them, and beyond half the file, go to the disk."""
GIVE_BACK = 1000
"""Pages that go back at a time: some 50 ms during which no face is committed."""
PRUNE = 1000
"""Rows of the ledger that are dropped at a time."""
DAY = 86400


@dataclass(frozen=True)
class Tally:
    """How many faces are in which state."""

    waiting: int
    stored: int
    refused: int
    expired: int


class Outbox:
    """The faces of one file.

    Attributes:
        id: 8 hex digits, made with the file.
        path: The file.
        late_after: Seconds from which a face that waits is late.
    """

    def __init__(self, settings: OutboxFile) -> None:
        """Open the file, or make it. A damaged one is set aside, and what can be read of it is saved.

        Raises:
            OutboxError: It cannot be opened or written, is no outbox, or is of a later format.
        """
        self.path = settings.path.expanduser()
        self._budget = Quota(settings, self.path)
        self.late_after = settings.late_after
        self._ledger_days = settings.ledger_days
        try:
            self._file = self._opened()
        except OutboxDamagedError:
            self._file = recover(self.path)
        create_ballast(self.path)
        self.id = self._file.id
        self._connection = self._file.connection
        self._lock = threading.Lock()
        self._run = secrets.token_hex(4)
        self._added = 0
        ((self._before,),) = self._read("SELECT coalesce(max(row), 0) FROM faces")

    def _opened(self) -> OpenOutbox:
        try:
            return open_outbox(self.path)
        except OutboxUnavailableError:
            if not release_ballast(self.path):
                raise
            return open_outbox(self.path)

    def __enter__(self) -> "Outbox":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def add(self, faces: Sequence[NewFace], visits: Sequence[Visit] = ()) -> list[Face]:
        """Commit faces and visits, all or none: number the faces, write the metadata into each, keep them.

        Raises:
            OutboxUnavailableError: Not now; none is kept.
            OutboxError: Not ever; none is kept.
        """
        size = sum(len(face.image.data) for face in faces)
        with self._lock, translate_errors(self.path):
            self._budget.admit(self._connection, size, len(faces))
            with transaction(self._connection):
                ((last,),) = self._connection.execute(
                    "UPDATE outbox SET sequence = sequence + ? RETURNING sequence", (len(faces),)
                ).fetchall()
                start = last - len(faces) + 1
                added = [self._insert(FaceId(self.id, number), face) for number, face in enumerate(faces, start)]
                self._note(visits)
                self._budget.keep(self._connection)
            self._added += len(added)
        return added

    def _insert(self, face_id: FaceId, new: NewFace) -> Face:
        metadata = new.metadata
        pixels = write_metadata(new.image.data, face_id, metadata)
        sha256 = hashlib.sha256(pixels).hexdigest()
        topic = FaceTopic(metadata.edge, metadata.camera)
        key = object_key(topic, face_id, metadata.captured_at, sha256, new.image.suffix)
        face = Face(face_id, key, sha256, metadata.shot_score, metadata.captured_at.timestamp())
        row = self._connection.execute(
            "INSERT INTO faces (id, run, topic, key, sha256, captured_at, score) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (str(face_id), self._run, str(topic), key, sha256, face.captured_at, face.score),
        ).lastrowid
        self._connection.execute("INSERT INTO pixels VALUES (?, ?)", (row, pixels))
        return face

    def _note(self, visits: Iterable[Visit]) -> None:
        query = f"INSERT INTO visits (run, {VISIT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        for each in visits:
            times = each.first_at.timestamp(), each.last_at.timestamp()
            row = (self._run, each.camera, each.track, *times, each.looks, each.shots, each.best)
            self._connection.execute(query, row)

    def settle(self, receipts: Iterable[Receipt]) -> list[tuple[int, Receipt]]:
        """Note what the cloud says.

        A face loses its pixels only by a ``stored`` receipt that names both its id and its hash. A refused one keeps
        them; its receipt may know the hash alone.

        Returns:
            Row and receipt of each face that changed; a receipt that fits no face changes none.

        Raises:
            OutboxError: None of it is noted; the same receipts may be given again.
        """
        given = list(receipts)
        try:
            return self._settle_all(given)
        except OutboxUnavailableError:
            if not release_ballast(self.path):
                raise
            return self._settle_all(given)

    def _settle_all(self, receipts: list[Receipt]) -> list[tuple[int, Receipt]]:
        with self._lock, translate_errors(self.path), transaction(self._connection):
            return [(row, receipt) for receipt in receipts for row in self._settle(receipt)]

    def _settle(self, receipt: Receipt) -> list[int]:
        values = {"now": time.time(), "reason": receipt.reason, "sha256": receipt.sha256, "id": str(receipt.id)}
        if receipt.result == "refused":
            query = "UPDATE faces SET state = 'refused', reason = :reason, settled_at = :now WHERE state = 'waiting'"
        else:
            query = "UPDATE faces SET state = 'stored', reason = '', settled_at = :now"
            query += " WHERE state IN ('waiting', 'refused', 'expired')"
        query += " AND sha256 = :sha256"
        if receipt.id is not None:
            query += " AND id = :id"
        elif receipt.result == "stored":
            return []
        rows = self._connection.execute(f"{query} RETURNING row", values).fetchall()
        if receipt.result == "stored":
            self._connection.executemany("DELETE FROM pixels WHERE row = ?", rows)
        return [row for (row,) in rows]

    def retry(self, reason: str | None) -> int:
        """Let refused faces wait again, after what they were refused for was changed in the cloud.

        Args:
            reason: Only those refused for this; None: all.

        Returns:
            How many.

        Raises:
            OutboxError: None of them.
        """
        with self._lock, translate_errors(self.path), transaction(self._connection):
            return self._connection.execute(
                "UPDATE faces SET state = 'waiting', reason = '', settled_at = NULL"
                " WHERE state = 'refused' AND (:reason IS NULL OR reason = :reason)",
                {"reason": reason},
            ).rowcount

    def tidy(self) -> None:
        """Give free pages back to the disk, where there are more than the next faces need, and drop old ledger rows.

        Both a little at a time.

        Raises:
            OutboxError: Not now.
        """
        with self._lock, translate_errors(self.path):
            self._prune()
            ((free,),) = self._connection.execute("PRAGMA freelist_count").fetchall()
            ((pages,),) = self._connection.execute("PRAGMA page_count").fetchall()
            if free > max(SPARE, pages // 2):
                # As a script: `execute` would stop after the first page.
                self._connection.executescript(f"PRAGMA incremental_vacuum({GIVE_BACK})")
            create_ballast(self.path)

    def _prune(self) -> None:
        values = {"before": time.time() - self._ledger_days * DAY, "limit": PRUNE}
        visits = "SELECT row FROM visits WHERE last_at < :before LIMIT :limit"
        faces = "SELECT row FROM faces WHERE state = 'stored' AND settled_at < :before LIMIT :limit"
        # Looked at before: even a deletion of nothing would make every other process wait.
        if self._connection.execute(visits, values).fetchone():
            self._connection.execute(f"DELETE FROM visits WHERE row IN ({visits})", values)
        if not self._connection.execute(faces, values).fetchone():
            return
        with transaction(self._connection):
            dropped = self._connection.execute(
                f"DELETE FROM faces WHERE row IN ({faces}) RETURNING captured_at", values
            ).fetchall()
            self._connection.execute("UPDATE outbox SET pruned_to = max(coalesce(pruned_to, 0), ?)", (max(dropped)[0],))

    def oldest(self, limit: int) -> list[int]:
        """Give the rows of the oldest waiting faces, the oldest first."""
        return self._rows("SELECT row FROM faces WHERE state = 'waiting' ORDER BY row LIMIT ?", limit)

    def newest(self, limit: int) -> list[int]:
        """Give the rows of the newest waiting faces, the newest first."""
        return self._rows("SELECT row FROM faces WHERE state = 'waiting' ORDER BY row DESC LIMIT ?", limit)

    def _rows(self, query: str, limit: int) -> list[int]:
        return [row for (row,) in self._read(query, (limit,))]

    def message(self, row: int) -> tuple[str, bytes] | None:
        """Give the topic and the payload of a face that waits; None for any other."""
        rows = self._read(
            "SELECT topic, file FROM faces JOIN pixels USING (row) WHERE row = ? AND state = 'waiting'", (row,)
        )
        return rows[0] if rows else None

    def backlog(self) -> tuple[int, float]:
        """Count all waiting faces, and tell the age of the oldest in seconds (0 where none waits)."""
        ((waiting,),) = self._read("SELECT count(*) FROM faces WHERE state = 'waiting'")
        oldest = self._read("SELECT captured_at FROM faces WHERE state = 'waiting' ORDER BY row LIMIT 1")
        return waiting, max(0.0, time.time() - oldest[0][0]) if oldest else 0.0

    def edges(self) -> set[str]:
        """Name the edges that the waiting faces were seen by."""
        topics = self._read("SELECT DISTINCT topic FROM faces WHERE state = 'waiting'")
        return {FaceTopic.parse(topic).edge for (topic,) in topics}

    @property
    def stored_age(self) -> float | None:
        """Seconds since the last receipt that said stored; None where none is known."""
        ((last,),) = self._read("SELECT max(settled_at) FROM faces WHERE state = 'stored'")
        return None if last is None else max(0.0, time.time() - last)

    @property
    def fullness(self) -> float:
        """How much of the budget is used; 1 is all of it."""
        with self._lock, translate_errors(self.path):
            return self._budget.fullness(self._connection)

    def refused(self) -> dict[str, int]:
        """Count the refused faces by reason."""
        return dict(self._read("SELECT reason, count(*) FROM faces WHERE state = 'refused' GROUP BY reason"))

    def tally(self) -> Tally:
        """Count the faces that this `Outbox` has added."""
        counts = dict(
            self._read(
                "SELECT state, count(*) FROM faces WHERE state <> 'stored' AND row > :before AND run = :run GROUP BY 1",
                {"before": self._before, "run": self._run},
            )
        )
        return Tally(
            waiting=counts.get("waiting", 0),
            stored=self._added - sum(counts.values()),
            refused=counts.get("refused", 0),
            expired=counts.get("expired", 0),
        )

    def faces(self) -> list[Face]:
        """List the faces that this `Outbox` has added, the oldest first."""
        rows = self._read(
            "SELECT id, key, sha256, score, captured_at, state, reason, settled_at FROM faces"
            " WHERE row > :before AND run = :run ORDER BY row",
            {"before": self._before, "run": self._run},
        )
        return [Face(FaceId.parse(face_id), *rest) for face_id, *rest in rows]

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Read the file as it is at one moment, while others go on writing.

        Raises:
            OutboxError: It cannot be read.
        """
        with translate_errors(self.path), closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            yield connection

    def _read(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        with self._lock, translate_errors(self.path):
            return self._connection.execute(query, values).fetchall()
