"""Write the messages about faces."""

import json
from collections.abc import Sequence
from datetime import datetime, tzinfo
from urllib.parse import quote

from face_app.cloud.gallery.words import WHY, plural
from face_app.cloud.notifications.deliveries import Message
from face_app.cloud.notifications.news import Group, Seen

MOST_CAMERAS = 10
"""Maximum number of cameras that a summary names."""


class Texts:
    """Writes messages with local times and links."""

    def __init__(self, zone: tzinfo, public_url: str | None) -> None:
        """Prepare the texts.

        Args:
            zone: Time zone of the times.
            public_url: Address at which browsers reach the gallery; None: no links.
        """
        self._zone = zone
        self._public_url = public_url

    def face(self, seen: Seen, document: str) -> Message:
        """Announce one face with its metadata as JSON; empty if it cannot be read."""
        why = json.loads(document).get("why") if document else None
        lines = [self._time(seen.at_ms, "%A, %-d %B %Y, %H:%M:%S %Z"), WHY.get(str(why), "")]
        return self._message(f"Face at {seen.key.edge}/{seen.key.camera}", lines, seen.key.key)

    def more(self, group: Group) -> Message:
        """Sum up the faces of one camera since the last message about it."""
        place = f"{group.edge}/{group.camera}"
        lines = [
            f"{plural(group.faces, 'face')} of {plural(group.visits, 'visit')}, {self._span([group])}",
            "The best picture is attached." if group.faces > 1 else "",
        ]
        return self._message(f"{plural(group.faces, 'more face')} at {place}", lines, group.best)

    def late(self, groups: Sequence[Group]) -> Message:
        """Sum up faces of one edge that arrived late."""
        faces = plural(sum(group.faces for group in groups), "face")
        lines = [f"{faces} from {self._span(groups)}", *_by_camera(groups)]
        return self._message(f"{faces} arrived late from {groups[0].edge}", lines, "")

    def quiet(self, groups: Sequence[Group]) -> Message:
        """Sum up the faces of the quiet hours."""
        faces = plural(sum(group.faces for group in groups), "face")
        return self._message(f"{faces} in the quiet hours", [self._span(groups), *_by_camera(groups)], "")

    def _message(self, title: str, lines: Sequence[str], key: str) -> Message:
        link = f"{self._public_url}/" + (f"face/{quote(key)}" if key else "") if self._public_url else ""
        return Message(title, "\n".join(line for line in (*lines, link) if line), "info", key)

    def _span(self, groups: Sequence[Group]) -> str:
        first = min(group.first_ms for group in groups)
        last = max(group.last_ms for group in groups)
        begin, end = (datetime.fromtimestamp(ms / 1000, self._zone) for ms in (first, last))
        # A name of a day is clear for a week only.
        day = "%A %H:%M" if (last - first) / 1000 < 6 * 86_400 else "%-d %B %Y %H:%M"
        if begin.date() == end.date():
            return f"{self._time(first, '%A %H:%M:%S')} to {self._time(last, '%H:%M:%S')}"
        return f"{self._time(first, day)} to {self._time(last, day)}"

    def _time(self, ms: int, form: str) -> str:
        return datetime.fromtimestamp(ms / 1000, self._zone).strftime(form)


def _by_camera(groups: Sequence[Group]) -> list[str]:
    most = sorted(groups, key=lambda group: -group.faces)
    lines = [f"{group.edge}/{group.camera}: {group.faces:,}" for group in most[:MOST_CAMERAS]]
    rest = len(most) - MOST_CAMERAS
    return [*lines, f"and {plural(rest, 'other camera')}"] if rest > 0 else lines
