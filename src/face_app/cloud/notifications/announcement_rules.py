"""Decide which cameras are announced, and when the quiet hours are."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from fnmatch import fnmatchcase

from face_app.common.settings import Notifications
from face_app.common.settings.notifications import parse_span


class AnnouncementRules:
    """Answers for one camera and one moment. Thread-safe."""

    def __init__(self, settings: Notifications, zone: tzinfo) -> None:
        """Prepare the rules.

        Args:
            settings: Settings of the notifications.
            zone: Time zone of the quiet hours.
        """
        self._settings = settings
        self._zone = zone
        self._span = parse_span(settings.quiet_hours) if settings.quiet_hours else None

    def wants(self, edge: str, camera: str) -> bool:
        """Return True if the faces of a camera are announced."""
        wanted, muted = self._settings.cameras, self._settings.muted
        return _matches(wanted, edge, camera) and not _matches(muted, edge, camera)

    def quiet(self, at_ms: int) -> bool:
        """Return True if a moment, milliseconds since 1970, is in the quiet hours.

        The clock on the wall counts: on the days on which it is changed, the span is an hour shorter or longer.
        """
        if self._span is None:
            return False
        begin, end = self._span
        clock = datetime.fromtimestamp(at_ms / 1000, self._zone).time()
        return begin <= clock < end if begin < end else clock >= begin or clock < end


def _matches(patterns: Sequence[str], edge: str, camera: str) -> bool:
    """Return True if a pattern EDGE/CAMERA matches both names."""
    pairs = (pattern.split("/") for pattern in patterns)
    return any(fnmatchcase(edge, of_edge) and fnmatchcase(camera, of_camera) for of_edge, of_camera in pairs)
