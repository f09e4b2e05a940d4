"""Store faces in one SQLite file until the cloud confirms them.

A face is committed when `Outbox.append` returns: its number, its complete image and its hash are on disk. Only a
receipt, or the rule `outbox.when_full`, changes it afterwards. Several threads and processes can use one file.
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

from face_app.common.errors import OutboxDamagedError, OutboxError, OutboxUnavailableError
from face_app.common.metadata import write_metadata
from face_app.common.settings import OutboxFile
from face_app.common.wire import FaceId, FaceTopic, Receipt, object_key
from face_app.edge.outbox import incarnation
from face_app.edge.outbox.access import OpenOutbox, open_outbox, translate_errors
from face_app.edge.outbox.blocked import reset_log
from face_app.edge.outbox.disk import create_ballast, release_ballast
from face_app.edge.outbox.origins import add_origins
from face_app.edge.outbox.quota import Quota
from face_app.edge.outbox.receipts import apply_receipt
from face_app.edge.outbox.records import Face, Mark, NewFace, Visit
from face_app.edge.outbox.recovery import recover
from face_app.edge.outbox.repair import is_intact, repair
from face_app.edge.outbox.schema import VISIT_COLUMNS, placeholders, transaction
from face_app.edge.outbox.upkeep import Upkeep

DAY_SECONDS = 86400


@dataclass(frozen=True)
class RunCounts:
    """Counts the faces of one run by state."""

    waiting: int
    stored: int
    refused: int
    expired: int
    erased: int


class Outbox:
    """Provides the faces of one outbox file.

    Attributes:
        id: Random id of the file, 8 hex digits.
        path: Path of the file.
        late_after: Seconds after which a waiting face is late (``outbox.late_after``).
    """

    def __init__(self, settings: OutboxFile) -> None:
        """Open the file, and create it if it is missing. Recover the readable faces of a damaged file.

        Raises:
            OutboxError: The file cannot be opened or written, is no outbox, or has a later format.
        """
        self.path = settings.path.expanduser()
        self._quota = Quota(settings, self.path)
        self.late_after = settings.late_after
        self._ledger_days = settings.ledger_days
        try:
            self._file = self._open()
        except OutboxDamagedError as damage:
            self._file = recover(self.path, str(damage))
        with translate_errors(self.path):
            reset_log(self._file.connection, self.path)
        create_ballast(self.path)
        self.id = self._file.id
        self._connection = self._file.connection
        self._lock = threading.Lock()
        self._run = secrets.token_hex(4)
        self._opening_drawn = False
        self._empty_at = time.monotonic()
        self._stored_at: float | None = None
        self._upkeep = Upkeep(self.path)
        self._appended = 0
        ((self._last_row_before,),) = self._read("SELECT coalesce(max(row), 0) FROM faces")

    def _open(self) -> OpenOutbox:
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
        """Close the file. Waiting faces stay in it."""
        with self._lock:
            self._file.close(self.path)

    @property
    def run(self) -> str:
        """Return the id of this run of the program, unique per edge: ``<outbox>-<8 hex digits>``."""
        return f"{self.id}-{self._run}"

    def append(self, faces: Sequence[NewFace], visits: Sequence[Visit] = ()) -> list[Face]:
        """Commit faces and visits in one transaction: number the faces and write the metadata into each image.

        Returns:
            The committed faces, in the given order, without those whose origin is committed already.

        Raises:
            OutboxUnavailableError: Nothing is committed; a retry can succeed.
            OutboxError: Nothing is committed; a retry fails too.
        """
        size = sum(len(face.image.data) for face in faces)
        with self._lock, translate_errors(self.path):
            self._quota.admit(self._connection, size, len(faces))
            with transaction(self._connection):
                new = add_origins(self._connection, faces)
                start = self._allocate(len(new))
                appended = [self._insert(FaceId(self.id, number), face) for number, face in enumerate(new, start)]
                self._insert_visits(visits)
                self._quota.evict(self._connection)
            if appended:
                self._opening_drawn = True
                incarnation.write(self.path, incarnation.state(self._connection))
            self._appended += len(appended)
        return appended

    def _allocate(self, count: int) -> int:
        """Allocate sequence numbers, and note the first one that this program gives; return the first of them."""
        allocated = self._connection.execute(
            "UPDATE outbox SET sequence = sequence + ? WHERE id = ? RETURNING sequence", (count, self.id)
        ).fetchall()
        if not allocated:
            raise OutboxError(f"outbox {self.path} was replaced while it was open: start this program again")
        start = int(allocated[0][0]) - count + 1
        if count and not self._opening_drawn:
            token = secrets.token_hex(8)
            self._connection.execute("INSERT OR REPLACE INTO openings VALUES (?, ?, ?)", (self.id, token, start))
        return start

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

    def _insert_visits(self, visits: Iterable[Visit]) -> None:
        columns = f"run, {VISIT_COLUMNS}"
        query = f"INSERT INTO visits ({columns}) VALUES ({placeholders(columns)})"
        for each in visits:
            times = each.first_at.timestamp(), each.last_at.timestamp()
            row = (self._run, each.camera, each.track, *times, each.looks, each.shots, each.best, each.dismissed)
            self._connection.execute(query, row)

    def apply_receipts(self, receipts: Iterable[Receipt]) -> list[tuple[int, Receipt]]:
        """Apply receipts in one transaction.

        Only a ``stored`` or ``erased`` receipt with the id and the hash of a face deletes its pixels. A ``refused``
        receipt deletes no pixels, and may lack the id. A receipt that matches no face changes nothing.

        Returns:
            Row and receipt of each face that changed its state.

        Raises:
            OutboxError: No receipt is applied; the caller may retry with the same ones.
        """
        given = list(receipts)
        with self._lock, translate_errors(self.path):
            self._quota.check_receipts(self._connection, len(given))
        try:
            return self._apply_all(given)
        except OutboxUnavailableError:
            if not release_ballast(self.path):
                raise
            return self._apply_all(given)

    def _apply_all(self, receipts: list[Receipt]) -> list[tuple[int, Receipt]]:
        with self._lock, translate_errors(self.path), transaction(self._connection):
            applied = [(row, receipt) for receipt in receipts for row in apply_receipt(self._connection, receipt)]
        results = {receipt.result for _, receipt in applied}
        if "stored" in results:
            self._stored_at = time.monotonic()
        if "erased" in results:
            self._upkeep.scrub_soon()
        return applied

    def retry(self, reason: str | None) -> int:
        """Set refused faces to ``waiting`` again, after the cause of the refusal was removed in the cloud.

        Args:
            reason: Reason of the faces to retry; None: all refused faces.

        Returns:
            Number of changed faces.

        Raises:
            OutboxError: No face is changed.
        """
        refused = sum(self.refused().values())
        with self._lock, translate_errors(self.path):
            self._quota.check_receipts(self._connection, refused)
            with transaction(self._connection):
                return self._connection.execute(
                    "UPDATE faces SET state = 'waiting', reason = '', settled_at = NULL"
                    " WHERE state = 'refused' AND (:reason IS NULL OR reason = :reason)",
                    {"reason": reason},
                ).rowcount

    def maintain(self) -> None:
        """Prune the ledger, release unused space to the disk, and create the ballast. One call does only a part.

        Raises:
            OutboxError: The file cannot be written.
        """
        with self._lock, translate_errors(self.path):
            self._upkeep.cut_log(self._connection)
            self._upkeep.scrub(self._connection)
            self._upkeep.prune(self._connection, self._ledger_days * DAY_SECONDS)
            self._upkeep.release_space(self._connection)
            create_ballast(self.path)

    def oldest_pending(self, limit: int) -> list[int]:
        """Return the rows of at most `limit` waiting faces, oldest first."""
        return self._rows("SELECT row FROM faces WHERE state = 'waiting' ORDER BY row LIMIT ?", limit)

    def newest_pending(self, limit: int) -> list[int]:
        """Return the rows of at most `limit` waiting faces, newest first."""
        return self._rows("SELECT row FROM faces WHERE state = 'waiting' ORDER BY row DESC LIMIT ?", limit)

    def _rows(self, query: str, limit: int) -> list[int]:
        return [row for (row,) in self._read(query, (limit,))]

    def payloads(self, rows: Sequence[int]) -> dict[int, tuple[str, bytes]]:
        """Return topic and image of each face that waits, by row.

        A face whose image is missing or damaged expires with the reason ``damaged``.
        """
        faces = self._sendable(rows)
        damaged = [row for row, *values in faces if not is_intact(*values)]
        if damaged:
            with self._lock, translate_errors(self.path), transaction(self._connection):
                for row in damaged:
                    repair(self._connection, row)
            faces = self._sendable(rows)
        return {row: (topic, pixels) for row, _, topic, _, _, pixels in faces}

    def _sendable(self, rows: Sequence[int]) -> list[Any]:
        return self._read(
            "SELECT row, id, topic, key, sha256, file FROM faces LEFT JOIN pixels USING (row)"
            f" WHERE row IN ({', '.join('?' * len(rows))}) AND state = 'waiting'",
            rows,
        )

    def backlog(self) -> tuple[int, float]:
        """Return the number of waiting faces and the age of the oldest in seconds (0 if none wait).

        If a clock that was ahead dated the oldest, its age is the time since this object saw no waiting face.
        """
        ((waiting,),) = self._read("SELECT count(*) FROM faces WHERE state = 'waiting'")
        oldest = self._read("SELECT captured_at FROM faces WHERE state = 'waiting' ORDER BY row LIMIT 1")
        if not oldest:
            self._empty_at = time.monotonic()
            return waiting, 0.0
        age = time.time() - oldest[0][0]
        return waiting, age if age >= 0 else time.monotonic() - self._empty_at

    def pending_edges(self) -> set[str]:
        """Return the edge names of the waiting faces; there are several after a rename of the edge."""
        topics = self._read("SELECT DISTINCT topic FROM faces WHERE state = 'waiting'")
        return {FaceTopic.parse(topic).edge for (topic,) in topics}

    def mark(self) -> Mark | None:
        """Return the last number and its opening; None if no face is committed.

        Raises:
            OutboxError: The file cannot be read.
        """
        rows = self._read(
            "SELECT id, sequence, token, first FROM outbox JOIN openings ON outbox = id AND first <= sequence"
            " ORDER BY first DESC LIMIT 1"
        )
        return Mark(*rows[0]) if rows else None

    @property
    def stored_age(self) -> float | None:
        """Return the seconds since the last ``stored`` receipt; None if there was none.

        Receipts that a clock ahead dated do not count, except those that this object applied itself.
        """
        query = "SELECT max(settled_at) FROM faces WHERE state = 'stored' AND settled_at <= ?"
        now = time.time()
        ((last,),) = self._read(query, (now,))
        ages = [] if last is None else [now - last]
        if self._stored_at is not None:
            ages.append(time.monotonic() - self._stored_at)
        return min(ages, default=None)

    @property
    def fullness(self) -> float:
        """Return the used fraction of `outbox.max_bytes`, 0 to 1."""
        with self._lock, translate_errors(self.path):
            return self._quota.fullness(self._connection)

    def refused(self) -> dict[str, int]:
        """Return the number of refused faces by reason."""
        return dict(self._read("SELECT reason, count(*) FROM faces WHERE state = 'refused' GROUP BY reason"))

    def run_counts(self) -> RunCounts:
        """Count the faces that this `Outbox` has appended, by state."""
        counts = dict(
            self._read(
                "SELECT state, count(*) FROM faces WHERE state <> 'stored' AND row > :before AND run = :run GROUP BY 1",
                {"before": self._last_row_before, "run": self._run},
            )
        )
        return RunCounts(
            waiting=counts.get("waiting", 0),
            stored=self._appended - sum(counts.values()),
            refused=counts.get("refused", 0),
            expired=counts.get("expired", 0),
            erased=counts.get("erased", 0),
        )

    def run_faces(self) -> list[Face]:
        """Return the faces that this `Outbox` has appended, oldest first."""
        rows = self._read(
            "SELECT id, key, sha256, score, captured_at, state, reason, settled_at FROM faces"
            " WHERE row > :before AND run = :run ORDER BY row",
            {"before": self._last_row_before, "run": self._run},
        )
        return [Face(FaceId.parse(face_id), *rest) for face_id, *rest in rows]

    @contextmanager
    def read_snapshot(self) -> Iterator[sqlite3.Connection]:
        """Open a read transaction: it sees one consistent state, and does not block writers.

        Raises:
            OutboxError: The file cannot be read.
        """
        with translate_errors(self.path), closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            yield connection

    def _read(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        with self._lock, translate_errors(self.path):
            return self._connection.execute(query, values).fetchall()
