"""Insert the rows of a damaged outbox into a new one, and decide what each is: a record may be older than another."""

import hashlib
import math
import re
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Any, TypeGuard, get_args

from face_app.common.errors import MessageError
from face_app.common.ledger_file import State
from face_app.common.metadata import read_image
from face_app.common.wire import FaceId, FaceTopic, face_of_key, object_key
from face_app.edge import metrics
from face_app.edge.outbox.incarnation import Seen
from face_app.edge.outbox.pages import DamagedFile, Record
from face_app.edge.outbox.schema import MOST_FACES, VISIT_COLUMNS, placeholders

MAX_PIXELS = 200_000_000
"""Maximum size of an image that has no ledger row, width x height: damaged bytes may declare any size."""
ROW_BYTES = 100
"""Minimum bytes of a row of the ledger: with the size of the file it bounds a damaged sequence number."""
MOST_ROWS = 2**48
"""Limit of a row number; a damaged higher one would leave none for new faces."""
_COLUMNS = "id, run, topic, key, sha256, state, reason, captured_at, settled_at, score"


@dataclass(frozen=True)
class LedgerRow:
    """Contains one row of the ledger, in the order of the columns."""

    id: str
    run: str
    topic: str
    key: str
    sha256: str
    state: str
    reason: str
    captured_at: float
    settled_at: float | None
    score: float


class Salvage:
    """Fills a new outbox with the rows of a damaged one: first all rows, then all pixels, then the totals."""

    def __init__(self, target: sqlite3.Connection) -> None:
        """Prepare the new outbox.

        Args:
            target: Connection of the new, empty outbox.
        """
        self._bytes = 0
        self._target = target
        self._own: dict[str, int] = {}
        self._pruned_to: float | None = None
        target.execute("CREATE INDEX recovery ON faces (sha256)")

    def add_current_rows(self, source: DamagedFile, number: int) -> None:
        """Insert the rows in the current version of a page, except pixels; they take precedence over older ones."""
        self._bytes += source.page_bytes
        self._add_rows(source.current_records(number))

    def add_rows(self, source: DamagedFile, number: int) -> None:
        """Insert the rows in every version of a page, except pixels."""
        self._add_rows(source.records(number))

    def _add_rows(self, records: Iterable[Record]) -> None:
        for record in records:
            values = record.values
            if len(values) == 11 and (row := _ledger_row(values)):
                insert_face(self._target, record.row, row)
            elif len(values) in {9, 10} and _is_visit(values):
                self._insert_visit(record)
            elif _is_hex(values[0], 8):
                self._insert_small(values)

    def add_pixels(self, source: DamagedFile, number: int) -> None:
        """Insert the pixels of a page into the faces that they belong to, by their hash."""
        # The versions that are in doubt come last: an image without a ledger row cannot be verified by its hash.
        for record in reversed(list(source.records(number))):
            pixels = record.values[-1]
            if len(record.values) != 2 or record.values[0] is not None or not isinstance(pixels, bytes):
                continue
            sha256 = hashlib.sha256(pixels).hexdigest()
            query = "SELECT row, state FROM faces WHERE sha256 = ?"
            found = self._target.execute(query, (sha256,)).fetchall()
            if not found and not source.is_free(number) and (face := row_from_pixels(pixels)):
                found = self._adopt(record.row, face)
            for row, state in found:
                if state in {"waiting", "refused"}:
                    self._target.execute("INSERT OR IGNORE INTO pixels VALUES (?, ?)", (row, pixels))

    def _adopt(self, number: int, face: LedgerRow) -> list[tuple[int, str]]:
        """Insert the ledger row of pixels without one, or correct a damaged one that nothing else confirms."""
        query = "SELECT row, state, sha256, key FROM faces WHERE id = ?"
        known = self._target.execute(query, (face.id,)).fetchall()
        if not known:
            insert_face(self._target, number, face)
            return self._target.execute("SELECT row, state FROM faces WHERE sha256 = ?", (face.sha256,)).fetchall()
        ((row, state, sha256, key),) = known
        if sha256[:12] in key or face.sha256[:12] not in key:
            return []  # the row is intact, so these pixels are damaged
        update = "UPDATE faces SET sha256 = ?, key = ?, topic = ? WHERE row = ?"
        self._target.execute(update, (face.sha256, face.key, face.topic, row))
        return [(row, state)]

    def complete(self, seen: Seen | None) -> int:
        """Set aside the faces whose pixels are lost, and record the former ids of this outbox.

        Args:
            seen: Record beside the damaged file.

        Returns:
            Number of faces in the new outbox.
        """
        self._target.execute("DROP INDEX recovery")
        self._target.execute(
            "UPDATE faces SET state = 'expired', reason = 'damaged', settled_at = ?"
            " WHERE state IN ('waiting', 'refused') AND row NOT IN (SELECT row FROM pixels)",
            (time.time(),),
        )
        for outbox, last in self._last_numbers(seen).items():
            self._target.execute("INSERT INTO former VALUES (?, ?)", (outbox, last))
        if seen:
            openings = [(seen.id, *each) for each in seen.openings]
            self._target.executemany("INSERT OR IGNORE INTO openings VALUES (?, ?, ?)", openings)
        self._target.execute("UPDATE outbox SET pruned_to = ?", (self._complete_since(),))
        counts = self._target.execute("SELECT state, count(*) FROM faces GROUP BY state").fetchall()
        for state, count in counts:
            metrics.RECOVERED.labels(state).inc(count)
        return sum(count for _, count in counts)

    def _insert_visit(self, record: Record) -> None:
        _, run, *rest = record.values
        values = (run, *rest, *([] if len(rest) == 8 else [""]))
        columns = f"run, {VISIT_COLUMNS}"
        same = " AND ".join(f"{name.strip()} = ?" for name in columns.split(","))
        query = f"SELECT 1 FROM visits WHERE {same}"
        if self._target.execute(query, values).fetchall():
            return
        insert = f"INSERT OR IGNORE INTO visits (row, {columns}) VALUES (?, {placeholders(columns)})"
        number = record.row if 0 < record.row < MOST_ROWS else None
        if not self._target.execute(insert, (number, *values)).rowcount:
            self._target.execute(insert, (None, *values))

    def _insert_small(self, values: tuple[Any, ...]) -> None:
        """Take over a row of the tables `outbox`, `former`, `openings` or `pruned`."""
        outbox, *rest = values
        match rest:
            case [str(token), int(first)] if _is_hex(token, 16) and first >= 0:
                self._target.execute("INSERT OR IGNORE INTO openings VALUES (?, ?, ?)", values)
            case [int(first), int(last), str()] if 0 <= first <= last:
                self._target.execute("INSERT OR IGNORE INTO pruned VALUES (?, ?, ?, ?)", values)
            case [int(sequence)] | [int(sequence), _] | [int(sequence), _, int()] if 0 <= sequence < MOST_FACES:
                self._own[outbox] = max(sequence, self._own.get(outbox, 0))
                if len(rest) > 1 and _is_time(rest[1]):
                    self._pruned_to = max(rest[1], self._pruned_to or 0.0)

    def _last_numbers(self, seen: Seen | None) -> dict[str, int]:
        """Return the last number of each former outbox; a number that nothing near it confirms is damage."""
        query = "SELECT substr(id, 1, 8), max(id) FROM faces GROUP BY 1"
        last = {outbox: FaceId.parse(newest).sequence for outbox, newest in self._target.execute(query)}
        if seen:
            last[seen.id] = max(seen.sequence, last.get(seen.id, 0))
        most = self._bytes // ROW_BYTES
        for outbox, sequence in self._own.items():
            known = last.get(outbox, 0)
            if not known or sequence <= known + most:
                last[outbox] = max(sequence, known)
        return last

    def _complete_since(self) -> float | None:
        """Return the time since which the ledger lists every face; None if it lists all.

        The lowest numbers of an outbox may be pruned. Any other missing number may be a lost row.
        """
        if all(self._lists_all(outbox, last) for outbox, last in self._target.execute("SELECT * FROM former")):
            return self._pruned_to
        ((latest,),) = self._target.execute("SELECT max(captured_at) FROM faces").fetchall()
        return max(self._pruned_to or 0.0, latest or 0.0)

    def _lists_all(self, outbox: str, last: int) -> bool:
        ids = "SELECT count(*), min(id) FROM faces WHERE id BETWEEN ? AND ?"
        ((count, lowest),) = self._target.execute(ids, (outbox, f"{outbox}g")).fetchall()
        first = 1 if self._pruned_to is None else FaceId.parse(lowest).sequence if lowest else last + 1
        spans = "SELECT coalesce(sum(last - first + 1), 0) FROM pruned WHERE outbox = ? AND first >= ?"
        ((pruned,),) = self._target.execute(spans, (outbox, first)).fetchall()
        return bool(count + pruned >= last - first + 1)


def insert_face(target: sqlite3.Connection, number: int, row: LedgerRow) -> int | None:
    """Insert a face under its row number, or under the next one if that is unusable; the first of its versions counts.

    Returns:
        Its row number; None if the ledger contains it.
    """
    if target.execute("SELECT 1 FROM faces WHERE id = ?", (row.id,)).fetchall():
        return None
    query = f"INSERT OR IGNORE INTO faces (row, {_COLUMNS}) VALUES (?, {placeholders(_COLUMNS)}) RETURNING row"
    usable = number if 0 < number < MOST_ROWS else None
    inserted = target.execute(query, (usable, *astuple(row))).fetchall()
    if not inserted:  # another face has the row number
        inserted = target.execute(query, (None, *astuple(row))).fetchall()
    return int(inserted[0][0])


def row_from_pixels(pixels: bytes) -> LedgerRow | None:
    """Rebuild the ledger row of a face from the metadata in its image; None if the image is no face."""
    try:
        image = read_image(pixels, max_pixels=MAX_PIXELS)
    except (MessageError, MemoryError):
        return None
    face_id, metadata = image.face_id, image.metadata
    if face_id is None or metadata is None or face_id.sequence >= MOST_FACES:
        return None
    sha256 = hashlib.sha256(pixels).hexdigest()
    topic = FaceTopic(metadata.edge, metadata.camera)
    key = object_key(topic, face_id, metadata.captured_at, sha256, image.suffix)
    at, score = metadata.captured_at.timestamp(), metadata.shot_score
    return LedgerRow(str(face_id), "", str(topic), key, sha256, "waiting", "", at, None, score)


def _ledger_row(values: tuple[Any, ...]) -> LedgerRow | None:
    """Return the row of the ledger in a record; None if it is none, or damaged."""
    row = LedgerRow(*values[1:])
    texts = (row.id, row.run, row.topic, row.key, row.sha256, row.state, row.reason)
    if values[0] is not None or not all(isinstance(text, str) for text in texts) or row.state not in get_args(State):
        return None
    times = _is_time(row.captured_at) and (row.settled_at is None or _is_time(row.settled_at)) and _is_number(row.score)
    if not (times and _is_hex(row.id, 32) and _is_hex(row.sha256, 64) and row.key and "\n" not in row.key):
        return None
    try:
        FaceTopic.parse(row.topic)
        face_id = FaceId.parse(row.id)
    except MessageError:
        return None
    if row.state in {"waiting", "refused"} and face_of_key(row.key) not in {None, face_id}:
        return None  # its pixels name the face
    return row if face_id.sequence < MOST_FACES else None


def _is_visit(values: tuple[Any, ...]) -> bool:
    row, run, camera, track, first_at, last_at, looks, shots, best, *dismissed = values
    texts = all(isinstance(text, str) for text in (run, camera, *dismissed))
    counts = all(type(count) is int for count in (track, looks, shots))
    return row is None and texts and counts and _is_time(first_at) and _is_time(last_at) and _is_number(best)


def _is_hex(text: Any, digits: int) -> TypeGuard[str]:
    return isinstance(text, str) and re.fullmatch(rf"[0-9a-f]{{{digits}}}", text) is not None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def _is_time(value: Any) -> TypeGuard[float]:
    """Return True for seconds since 1970 that are a date, with some room for time zones."""
    return _is_number(value) and 0 <= value < 250_000_000_000
