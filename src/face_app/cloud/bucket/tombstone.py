"""Define the tombstone: the object that orders the erasure of faces, those that still wait at an edge too.

Beside the tombstones, each erased face has a record, ``erased/<key>``: it accounts for the number of the face after its
object is gone.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from face_app.cloud.bucket.selection import Selection, parse_selection, parse_time
from face_app.common.errors import SettingsError, StoreError

ERASED = "erased/"
"""Prefix of the records."""
TOMBSTONES = "erased/_tombstones/"
"""Prefix of the tombstones. No edge has a name that begins with an underscore, so no record is there."""
RECORD = b"erased\n"
"""Content of each record. Not empty, because s3fs uploads an empty file twice."""
VERSION = 1
"""Version of the document. A program reads no other one."""
MAX_BYTES = 4096
"""Maximum size of a tombstone."""
MAX_WHY = 500
"""Maximum length of its reason."""
_INVALID = (ValueError, KeyError, TypeError, AttributeError, RecursionError, SettingsError)


@dataclass(frozen=True)
class Tombstone:
    """Orders the erasure of faces.

    Attributes:
        selection: The faces.
        at: Time of the order (aware).
        by: Who ordered it.
        why: Reason in the words of that person; may be empty.
    """

    selection: Selection
    at: datetime
    by: str
    why: str = ""

    @property
    def key(self) -> str:
        """Return its key, which derives from the selection: a repeated order is the same object."""
        text = json.dumps(self.selection.document(), sort_keys=True)
        return f"{TOMBSTONES}{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def record_key(key: str) -> str:
    """Return the key of the record of an erased face."""
    return f"{ERASED}{key}"


def check_range(selection: Selection) -> None:
    """Refuse a range without an end: it would erase every future face.

    Raises:
        SettingsError: The range has no end.
    """
    if not selection.key and selection.until is None:
        raise SettingsError("to: not set; without it every future face would be erased")


def dump_tombstone(tombstone: Tombstone) -> bytes:
    """Serialize a tombstone."""
    at = tombstone.at.astimezone(timezone.utc).isoformat(timespec="seconds")
    about = {"at": at, "by": tombstone.by[:64], "why": tombstone.why[:MAX_WHY]}
    return json.dumps({"version": VERSION, **tombstone.selection.document(), **about}, indent=1).encode()


def load_tombstone(data: bytes, key: str) -> Tombstone:
    """Parse an object that `dump_tombstone` has made.

    Raises:
        StoreError: The object is no tombstone, or has another version.
    """
    try:
        if len(data) > MAX_BYTES:
            raise ValueError(f"{len(data)} bytes, more than {MAX_BYTES}")
        document = json.loads(data)
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']!r:.20}, this program reads {VERSION}")
        at = parse_time("at", document["at"])
        if at is None:
            raise ValueError("at is null")
        selection = parse_selection(document)
        check_range(selection)
        return Tombstone(selection, at, str(document["by"])[:64], str(document.get("why", ""))[:MAX_WHY])
    except _INVALID as error:
        raise StoreError(f"object {key} is no tombstone: {error!s:.200}; correct or delete it") from error


@dataclass(frozen=True)
class Tombstones:
    """Contains the tombstones of a bucket.

    Attributes:
        by_key: Tombstone by the key of its object.
        bad: Why an object is no tombstone, by its key.
    """

    by_key: dict[str, Tombstone]
    bad: dict[str, str]

    def selections(self) -> list[Selection]:
        """Return what the tombstones select."""
        return [tombstone.selection for tombstone in self.by_key.values()]


NONE = Tombstones({}, {})


def read_tombstones(keys: list[str], get: Callable[[str], bytes | None], known: Tombstones = NONE) -> Tombstones:
    """Read tombstones; those that are known are not read again, because they never change.

    Args:
        keys: Keys of their objects; others are ignored.
        get: Fetches an object; raises `StoreError`.
        known: Result of an earlier call.

    Raises:
        StoreError: The bucket does not answer.
    """
    found = Tombstones({}, {})
    for key in keys:
        if not key.startswith(TOMBSTONES):
            continue
        if key in known.by_key:
            found.by_key[key] = known.by_key[key]
            continue
        data = get(key)
        if data is None:
            continue  # deleted since the listing
        try:
            found.by_key[key] = load_tombstone(data, key)
        except StoreError as error:
            found.bad[key] = str(error)
    return found
