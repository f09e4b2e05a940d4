"""Read and write the ledger file: the faces of an edge without pixels, as JSON lines, for the audit.

The first line describes the edge, each further line one face. Reader and writer handle one line at a time.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar, get_args

from face_app.common.errors import LedgerError, MessageError
from face_app.common.wire import NAME, FaceId

FORMAT = 1
"""Format of the file. A program reads no other format."""
State = Literal["waiting", "stored", "refused", "expired", "erased"]
Item = TypeVar("Item")

_INVALID = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, MessageError)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """Describes one face as the edge recorded it.

    Attributes:
        id: Id of the face.
        key: Key of its object, stored or not.
        sha256: Hex digest of its file.
        state: ``waiting``: no receipt came yet; ``stored`` or ``refused``: as its receipt says; ``expired``: evicted by
            the quota, or damaged; ``erased``: erased on request.
        reason: Reason of ``refused``, ``expired`` or ``erased``; empty in the other states.
        captured_at: Capture time of its frame (aware).
        settled_at: Time when the edge recorded the state (aware); None: it waits, or an earlier version wrote the file.
    """

    id: FaceId
    key: str
    sha256: str
    state: State
    reason: str
    captured_at: datetime
    settled_at: datetime | None = None


@dataclass(frozen=True)
class EdgeLedger:
    """Describes all faces of one edge.

    Attributes:
        edge: Name of the edge.
        outboxes: Last allocated sequence number of each of its outboxes, by outbox id.
        complete_since: Time zone-aware time since which every captured face has an entry. Earlier stored faces may have
            been pruned. None: nothing was pruned.
        entries: The faces in any order, including those recovered from an older outbox. May be an iterator,
            which can be read once.
        openings: Token and first sequence number of each opening of an outbox, in ascending order, by outbox id. It may
            lack the oldest ones of an outbox, and is empty in the file of an earlier version.
        pruned: First number, last number and reason of expired faces whose entries were pruned, in ascending order, by
            outbox id.
        written_at: Time of the export by the clock of the edge (aware); None: an earlier version wrote the file.
    """

    edge: str
    outboxes: dict[str, int]
    complete_since: datetime | None
    entries: Iterable[LedgerEntry]
    openings: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    pruned: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)
    written_at: datetime | None = None


def write_ledger(ledger: EdgeLedger, file: BinaryIO) -> None:
    """Write a ledger, one line at a time."""
    since = ledger.complete_since
    header = {
        "edge": ledger.edge,
        "outboxes": ledger.outboxes,
        "complete_since": _format_time(since) if since else None,
        "openings": ledger.openings,
        "pruned": ledger.pruned,
        "written_at": _format_time(ledger.written_at) if ledger.written_at else None,
        "format": FORMAT,
    }
    file.write(_line(header))
    for entry in ledger.entries:
        document = {
            "id": str(entry.id),
            "key": entry.key,
            "sha256": entry.sha256,
            "state": entry.state,
            "reason": entry.reason,
            "captured_at": _format_time(entry.captured_at),
        }
        if entry.settled_at:
            document["settled_at"] = _format_time(entry.settled_at)
        file.write(_line(document))


def read_ledger(file: BinaryIO, name: str) -> EdgeLedger:
    """Read the first line now, and the faces lazily: each when `EdgeLedger.entries` is iterated.

    Args:
        file: Must stay open until the entries are read.
        name: Name of the file in error messages.

    Raises:
        LedgerError: The first line is invalid, has another format, or cannot be read. Iterating the entries raises it
            too, for another line. The message names the file, and the line if it is invalid.
    """
    try:
        document = json.loads(file.readline())
        if document["format"] != FORMAT:
            raise LedgerError(f"{name}, line 1: format {document['format']!r}, this program reads {FORMAT}")
        since, written_at = document["complete_since"], document.get("written_at")
        header = EdgeLedger(
            check_pattern(NAME, document["edge"]),
            {
                check_pattern("[0-9a-f]{8}", outbox): check_sequence(last)
                for outbox, last in document["outboxes"].items()
            },
            None if since is None else _parse_time(since),
            _entries(file, name),
            _by_outbox(document.get("openings", {}), _openings),
            _by_outbox(document.get("pruned", {}), _pruned),
            None if written_at is None else _parse_time(written_at),
        )
    except OSError as error:
        raise LedgerError(f"{name}: {error.strerror}") from error
    except _INVALID as error:
        raise LedgerError(f"{name}, line 1: not the first line of a ledger: {error!r}"[:300]) from error
    return header


@contextmanager
def open_ledgers(names: Iterable[str]) -> Iterator[list[EdgeLedger]]:
    """Open ledger files, ``-`` for standard input, while the context lasts.

    Each file is opened again when its entries are read, so there may be more than a process may open. A pipe stays
    open.

    Raises:
        LedgerError: A file cannot be opened, or its first line is invalid.
    """
    with ExitStack() as files:
        yield [_open(name, files) for name in names]


def _open(name: str, files: ExitStack) -> EdgeLedger:
    if name == "-":
        return read_ledger(sys.stdin.buffer, "standard input")
    path = Path(name)
    try:
        if not path.is_file():
            return read_ledger(files.enter_context(path.open("rb")), name)
        with path.open("rb") as file:
            return replace(read_ledger(file, name), entries=_entries_of(path, name))
    except OSError as error:
        raise LedgerError(f"{name}: {error.strerror}") from error


def _entries_of(path: Path, name: str) -> Iterator[LedgerEntry]:
    try:
        with path.open("rb") as file:
            file.readline()  # the header is read already
            yield from _entries(file, name)
    except OSError as error:
        raise LedgerError(f"{name}: {error.strerror}") from error


def _entries(file: BinaryIO, name: str) -> Iterator[LedgerEntry]:
    try:
        for number, line in enumerate(file, 2):
            try:
                entry = _entry(json.loads(line))
            except _INVALID as error:
                raise LedgerError(f"{name}, line {number}: not a face: {error!r}"[:300]) from error
            yield entry
    except OSError as error:
        raise LedgerError(f"{name}: {error.strerror}") from error


def _entry(document: dict[str, Any]) -> LedgerEntry:
    state = document["state"]
    if state not in get_args(State):
        raise ValueError(f"state {state!r}")
    return LedgerEntry(
        FaceId.parse(document["id"]),
        check_pattern("[^\n]+", document["key"]),
        check_pattern("[0-9a-f]{64}", document["sha256"]),
        # few distinct values, up to millions of entries: saves memory
        sys.intern(state),  # type: ignore[arg-type]
        sys.intern(str(document["reason"])),
        _parse_time(document["captured_at"]),
        None if (settled_at := document.get("settled_at")) is None else _parse_time(settled_at),
    )


def _by_outbox(document: dict[str, Any], read: Callable[[list[Any]], list[Item]]) -> dict[str, list[Item]]:
    return {check_pattern("[0-9a-f]{8}", outbox): read(given) for outbox, given in document.items()}


def _pruned(given: list[Any]) -> list[tuple[int, int, str]]:
    spans = [(check_sequence(first), check_sequence(last), str(reason)) for first, last, reason in given]
    wrong = any(last < first for first, last, _ in spans)
    if wrong or any(later[0] <= earlier[1] for earlier, later in pairwise(spans)):
        raise ValueError("the spans of pruned numbers are not in ascending order")
    return spans


def _openings(given: list[Any]) -> list[tuple[str, int]]:
    openings = [(check_pattern("[0-9a-f]{16}", token), check_sequence(first)) for token, first in given]
    if any(later[1] <= earlier[1] for earlier, later in pairwise(openings)):
        raise ValueError("the openings are not in ascending order")
    return openings


def check_pattern(pattern: str, text: str) -> str:
    """Return the text if it matches the whole pattern.

    Raises:
        ValueError: The text does not match.
        TypeError: The value is no text.
    """
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{text!r} does not match {pattern}")
    return text


def check_sequence(value: Any) -> int:
    """Return the value if it is 0 or a sequence number.

    Raises:
        ValueError: It is neither.
    """
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no sequence number")
    return value


def _parse_time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return at.astimezone(timezone.utc)  # OverflowError near the years 1 and 9999


def _format_time(at: datetime) -> str:
    return at.astimezone(timezone.utc).isoformat()


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"
