"""Select faces: one by its key, or all of a range of edge, camera, time and visit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from face_app.cloud.bucket.face_key_parts import HOUR, camera_of, edge_of, hour_of
from face_app.common.errors import MessageError, SettingsError
from face_app.common.metadata import FaceMetadata, read_metadata
from face_app.common.wire import NAME, RESERVED, face_of_key

QUARANTINE = "quarantine/"
"""Prefix of refused messages: ``quarantine/<edge>/<reason>/<sha256>.bin``. Earlier versions wrote no edge."""
_LATEST = datetime.max.replace(tzinfo=timezone.utc)
MAX_TEXT = 300
"""Maximum length of a key or a visit."""
_COPY = re.compile(rf"{QUARANTINE}(?:(?P<edge>{NAME}|-)/)?[a-z0-9-]{{1,63}}/(?P<sha>[0-9a-f]{{64}})\.bin")
_VISIT = re.compile(r"[0-9a-f]{8}-[A-Za-z0-9_-]{1,120}")


@dataclass(frozen=True)
class Described:
    """Describes a face, or a refused message, as a selection compares it.

    Attributes:
        key: Key of the face, or of the copy in quarantine.
        edge: Name of its edge, as the key or the topic names it; `-` if none is named.
        camera: Name of its camera; empty if it is unknown.
        captured_at: Time of capture (aware); None if it is unknown.
        visit: Id of its visit; empty if it is unknown.
    """

    key: str
    edge: str
    camera: str = ""
    captured_at: datetime | None = None
    visit: str = ""


@dataclass(frozen=True)
class Selection:
    """Selects faces. Without a key, each other field that is set limits the range.

    Attributes:
        key: Key of the only face, or of a copy in quarantine; empty: a range.
        edge: Name of the edge; empty: all edges.
        camera: Name of the camera; empty: all cameras.
        since: Time of capture from which faces are selected (aware); None: no limit.
        until: Time of capture before which faces are selected (aware); None: no limit.
        visit: Id of the visit; empty: all visits.
    """

    key: str = ""
    edge: str = ""
    camera: str = ""
    since: datetime | None = None
    until: datetime | None = None
    visit: str = ""

    def covers(self, face: Described) -> bool:
        """Return True if a face is selected; a range does not select what it cannot compare."""
        if self.key:
            return face.key == self.key or (is_copy(face.key) and hash_of(face.key) == hash_of(self.key))
        if self.since or self.until:
            at = face.captured_at
            if at is None or (self.since and at < self.since) or (self.until and at >= self.until):
                return False
        named = ((self.edge, face.edge), (self.camera, face.camera), (self.visit, face.visit))
        return all(wanted in {"", found} for wanted, found in named)

    def decide(self, key: str) -> bool | None:
        """Decide by the key of a face alone; None if its metadata must be read.

        Raises:
            ValueError: The key contains no valid hour.
        """
        if self.key:
            return key == self.key
        if self.edge not in {"", edge_of(key)} or self.camera not in {"", camera_of(key)}:
            return False
        first = hour_of(key)
        end = first + min(HOUR, _LATEST - first)
        if (self.since and end <= self.since) or (self.until and first >= self.until):
            return False
        if self.visit and face_of_key(key) and not self.visit.startswith(key.rsplit("face-", 1)[1][:8]):
            return False
        whole = (not self.since or self.since <= first) and (not self.until or end <= self.until)
        return True if whole and not self.visit else None

    def document(self) -> dict[str, str]:
        """Return the selection as JSON values, without what is not limited."""
        values = {
            "key": self.key,
            "edge": self.edge,
            "camera": self.camera,
            "from": self.since.astimezone(timezone.utc).isoformat() if self.since else "",
            "to": self.until.astimezone(timezone.utc).isoformat() if self.until else "",
            "visit": self.visit,
        }
        return {name: value for name, value in values.items() if value}

    def __str__(self) -> str:
        if self.key:
            return self.key
        return ", ".join(f"{name} {value}" for name, value in self.document().items()) or "all faces"


def parse_selection(values: Mapping[str, Any]) -> Selection:
    """Parse what `Selection.document` returns; other names are ignored.

    Raises:
        SettingsError: A value is invalid, or nothing is selected.
    """
    names = ("key", "edge", "camera", "from", "to", "visit")
    given = {name: values[name] for name in names if values.get(name) not in (None, "")}
    if not given:
        raise SettingsError("select faces: by keys, or by edge, camera, from, to or visit")
    for name, value in given.items():
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise SettingsError(f"{name}: not a text of at most {MAX_TEXT} characters")
    if "key" in given:
        if len(given) > 1:
            raise SettingsError("give keys or a range, not both")
        return Selection(key=_checked_key(given["key"]))
    for name in ("edge", "camera"):
        if name in given and not re.fullmatch(NAME, given[name]):
            raise SettingsError(f"{name} = {given[name]!r:.80}: not a valid name")
    since, until = parse_time("from", given.get("from")), parse_time("to", given.get("to"))
    if since and until and since >= until:
        raise SettingsError("to: must be later than from")
    edge, visit = _checked_visit(given.get("edge", ""), given.get("visit", ""))
    return Selection("", edge, given.get("camera", ""), since, until, visit)


def parse_time(name: str, text: str | None) -> datetime | None:
    """Parse a time, ISO 8601, UTC without a zone; None stays None.

    Raises:
        SettingsError: It is no such time.
    """
    if text is None:
        return None
    try:
        # Python 3.10 does not parse the suffix Z.
        at = datetime.fromisoformat(re.sub("Z$", "+00:00", text))
        return (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise SettingsError(f"{name} = {text!r:.80}: give a time such as 2026-11-22T18:30:00+00:00") from error


def _checked_key(key: str) -> str:
    try:
        if _COPY.fullmatch(key) or (face_of_key(key) and edge_of(key) not in RESERVED and hour_of(key)):
            return key
    except ValueError:
        pass
    raise SettingsError(
        f"{key!r:.120} is not the key of a face (<edge>/<camera>/<yyyy>/<mm>/<dd>/<hh>/face-….jpg) or of a copy in "
        f"{QUARANTINE}; `face-app bucket list` prints keys"
    )


def _checked_visit(edge: str, visit: str) -> tuple[str, str]:
    """Return edge and visit; the gallery writes both as ``<edge>/<visit>``."""
    if "/" in visit:
        named, _, visit = visit.partition("/")
        if not re.fullmatch(NAME, named) or edge not in {"", named}:
            raise SettingsError(f"visit: its edge {named!r:.80} is not edge {edge!r}")
        edge = named
    if visit and not _VISIT.fullmatch(visit):
        raise SettingsError(f"visit = {visit!r:.80}: not the id of a visit, as the gallery's JSON has it")
    return edge, visit


def is_copy(key: str) -> bool:
    """Return True for the key of a copy in quarantine."""
    return _COPY.fullmatch(key) is not None


def hash_of(key: str) -> str:
    """Return the first 12 hex digits of the SHA-256 in the key of a face, or of a copy in quarantine."""
    return re.split("[-/]", key)[-1][:12]


def edge_of_copy(key: str) -> str:
    """Return the edge of a copy in quarantine; empty if the key names none."""
    found = _COPY.fullmatch(key)
    return (found["edge"] or "") if found else ""


def visit_of(key: str, metadata: FaceMetadata) -> str:
    """Return the id of the visit of a face.

    Early versions wrote no visit. Their tracks count from 1 at each start, which the hour distinguishes.
    """
    face = face_of_key(key)
    if metadata.visit or face is None:
        return metadata.visit
    return f"{face.outbox}-{camera_of(key)}-{int(hour_of(key).timestamp() // 3600)}-{metadata.track}"


def describe(key: str, data: bytes) -> Described | None:
    """Describe an object by its key and its metadata; None if the metadata cannot be read."""
    try:
        face_id, metadata = read_metadata(data)
    except MessageError:
        return None
    if face_id is None or metadata is None:
        return None
    if key.startswith(QUARANTINE):
        return Described(key, edge_of_copy(key) or metadata.edge, metadata.camera, metadata.captured_at, metadata.visit)
    return Described(key, edge_of(key), camera_of(key), metadata.captured_at, visit_of(key, metadata))
