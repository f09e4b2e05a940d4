"""Define the mark: the object in which a subscriber records the highest numbers of an outbox that it has seen.

An outbox that goes back in time gives numbers again. Its own file cannot show that; the marks can.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from face_app.common.errors import StoreError
from face_app.common.wire import NAME

MARKS = "marks/"
"""Prefix of the marks."""
VERSION = 1
"""Version of the document. A program reads no other one."""
MAX_OPENINGS = 256
"""Maximum number of openings in one object; a mark with more drops its oldest ones."""
MAX_SEQUENCE = 2**96 - 1
"""Highest number that fits into the id of a face."""
_KEY = re.compile(rf"{MARKS}({NAME})/([0-9a-f]{{8}})/({NAME})\.json")
_INVALID = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, order=True)
class Mark:
    """Contains the numbers that one opening of an outbox is known to have given.

    Attributes:
        first: First number of the opening.
        last: Highest known number; less than `first` if none is known.
        token: Random name of the opening, 16 hex digits.
    """

    first: int
    last: int
    token: str


def mark_key(edge: str, outbox: str, subscriber: str) -> str:
    """Return the key of the mark of one subscriber for one outbox."""
    return f"{MARKS}{edge}/{outbox}/{subscriber}.json"


def outbox_of_mark(key: str) -> tuple[str, str] | None:
    """Parse edge and outbox in the key of a mark; return None for any other key."""
    match = _KEY.fullmatch(key)
    return (match[1], match[2]) if match else None


def parse_mark(token: Any, first: Any, last: Any) -> Mark:
    """Check the parts of a mark.

    Raises:
        ValueError: A part has another type or is out of range.
    """
    if not isinstance(token, str) or not re.fullmatch("[0-9a-f]{16}", token):
        raise ValueError(f"token {token!r:.40}")
    if (
        type(first) is not int
        or type(last) is not int
        or not (1 <= first <= MAX_SEQUENCE and 0 <= last <= MAX_SEQUENCE)
    ):
        raise ValueError("a number is out of range")
    return Mark(first, last, token)


def merge_marks(*given: Iterable[Mark]) -> dict[str, Mark]:
    """Return the marks by token, in the order of their first numbers; of several for one token, the widest."""
    merged: dict[str, Mark] = {}
    for mark in (mark for marks in given for mark in marks):
        known = merged.get(mark.token, mark)
        merged[mark.token] = Mark(min(known.first, mark.first), max(known.last, mark.last), mark.token)
    return {mark.token: mark for mark in sorted(merged.values())}


def dump_marks(marks: Mapping[str, Mark], at: datetime) -> bytes:
    """Serialize the marks of one outbox, at most `MAX_OPENINGS` of the latest ones."""
    latest = list(marks.values())[-MAX_OPENINGS:]
    openings = {mark.token: [mark.first, mark.last] for mark in latest}
    document = {"version": VERSION, "at": at.isoformat(timespec="seconds"), "openings": openings}
    return json.dumps(document, separators=(",", ":")).encode()


def load_marks(data: bytes, key: str) -> list[Mark]:
    """Parse an object that `dump_marks` has made.

    Raises:
        StoreError: The object is not a mark, or has another version.
    """
    try:
        document = json.loads(data)
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']!r:.20}, this program reads {VERSION}")
        return [parse_mark(token, first, last) for token, (first, last) in document["openings"].items()]
    except _INVALID as error:
        raise StoreError(f"object {key} is not a mark: {error!r:.200}; delete it") from error
