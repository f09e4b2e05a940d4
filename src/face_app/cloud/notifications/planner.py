"""Decide which faces make a message at once, and which wait for a summary.

Each decision and its message are one transaction, so a killed program neither loses nor repeats one.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from face_app.cloud.gallery.face_key import HOUR_MS, FaceKey
from face_app.cloud.gallery.index_writer import Detail
from face_app.cloud.notifications.announcement_rules import AnnouncementRules
from face_app.cloud.notifications.deliveries import Deliveries
from face_app.cloud.notifications.news import (
    Group,
    News,
    Seen,
    State,
    record,
    set_group,
    set_state,
    state_of_visit,
)
from face_app.cloud.notifications.notification_file import NotificationFile
from face_app.cloud.notifications.texts import Texts
from face_app.common.errors import StoreError
from face_app.common.settings import Notifications

BATCH = 200
"""Faces that are judged in one transaction."""
LATE_PAUSE_MS = 10_000
"""Minimum time without a late face, milliseconds, after which the summary of its edge is written."""
LATE_MOST_PAUSES = 30
"""Number of such pauses after which it is written although more arrive."""

Fetch = Callable[[Iterable[FaceKey]], Iterator[tuple[FaceKey, Detail | StoreError | None]]]


@dataclass(frozen=True)
class Tables:
    """Contains the parts of the file.

    Attributes:
        file: The open file.
        news: Its faces.
        deliveries: Its messages.
    """

    file: NotificationFile
    news: News
    deliveries: Deliveries


class Planner:
    """Judges the new faces. Its time is an argument; only one thread may use it."""

    def __init__(
        self,
        settings: Notifications,
        rules: AnnouncementRules,
        texts: Texts,
        tables: Tables,
        fetch: Fetch,
    ) -> None:
        """Prepare the decisions.

        Args:
            settings: Settings of the notifications.
            rules: Cameras and quiet hours.
            texts: Writes the messages.
            tables: Contain the faces and take the messages.
            fetch: Yields the metadata of faces.
        """
        self._rules = rules
        self._texts = texts
        self._file = tables.file
        self._news = tables.news
        self._deliveries = tables.deliveries
        self._fetch = fetch
        self._cool_down_ms = int(settings.cool_down * 1000)
        self._max_age_ms = int(settings.max_age_minutes * 60_000)

    def plan(self, now_ms: int) -> bool:
        """Judge all new faces, and write the summaries that are due.

        Args:
            now_ms: The time, milliseconds since 1970.

        Returns:
            False if the bucket does not answer, so that faces remain unjudged.
        """
        judged = True
        while judged and (keys := self._news.unread(BATCH)):
            judged = self._judge(keys, now_ms)
        if not self._rules.quiet(now_ms):
            self._sum_up(now_ms)
        return judged

    def _judge(self, keys: list[FaceKey], now_ms: int) -> bool:
        # The key has the hour. A backlog of a week is summed up without a request for each face.
        old = {key for key in keys if (key.hour + 1) * HOUR_MS <= now_ms - self._max_age_ms}
        found = list(self._fetch([key for key in keys if key not in old]))
        seen = [(_seen(key, detail), detail.document) for key, detail in found if isinstance(detail, Detail)]
        gone = [key.key for key, detail in found if detail is None]
        with self._file.transaction() as connection:
            set_state(connection, [key.key for key in old], "late")
            set_state(connection, gone, "passed")
            for face, document in sorted(seen, key=lambda pair: pair[0].at_ms):
                state = self._state(connection, face, document, now_ms)
                if state == "new":
                    self._announce(connection, face, document, now_ms)
                record(connection, face, "announced" if state == "new" else state)
        return not any(isinstance(detail, StoreError) for _, detail in found)

    def _state(self, connection: sqlite3.Connection, face: Seen, document: str, now_ms: int) -> State:
        """Return what happens to a face; new: it is announced at once."""
        if document and json.loads(document).get("why") == "verify":
            return "passed"  # a test card
        if face.at_ms < now_ms - self._max_age_ms:
            return "late"
        of_visit = state_of_visit(connection, face.visit)
        if of_visit:
            return of_visit
        if self._rules.quiet(now_ms):
            return "quiet"
        return "more" if self._cooling(connection, face.key.edge, face.key.camera) > now_ms else "new"

    def _cooling(self, connection: sqlite3.Connection, edge: str, camera: str) -> int:
        query = "SELECT cooling_until FROM cameras WHERE edge = ? AND camera = ?"
        row = connection.execute(query, (edge, camera)).fetchone()
        return int(row[0]) if row else 0

    def _cool_down(self, connection: sqlite3.Connection, edge: str, camera: str, now_ms: int) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO cameras VALUES (?, ?, ?)", (edge, camera, now_ms + self._cool_down_ms)
        )

    def _announce(self, connection: sqlite3.Connection, face: Seen, document: str, now_ms: int) -> None:
        self._deliveries.add(connection, self._texts.face(face, document))
        self._cool_down(connection, face.key.edge, face.key.camera, now_ms)

    def _sum_up(self, now_ms: int) -> None:
        for group in self._news.waiting("more"):
            with self._file.transaction() as connection:
                if self._cooling(connection, group.edge, group.camera) <= now_ms:
                    self._deliveries.add(connection, self._texts.more(group))
                    set_group(connection, "more", "announced", edge=group.edge, camera=group.camera)
                    self._cool_down(connection, group.edge, group.camera, now_ms)
        quiet = self._news.waiting("quiet")
        if quiet:
            with self._file.transaction() as connection:
                self._deliveries.add(connection, self._texts.quiet(quiet))
                set_group(connection, "quiet", "announced")
        self._sum_up_late(now_ms)

    def _sum_up_late(self, now_ms: int) -> None:
        by_edge: dict[str, list[Group]] = defaultdict(list)
        for group in self._news.waiting("late"):
            by_edge[group.edge].append(group)
        pause = max(self._cool_down_ms, LATE_PAUSE_MS)
        for edge, groups in by_edge.items():
            ended = max(group.offered_last_ms for group in groups) <= now_ms - pause
            long = min(group.offered_first_ms for group in groups) <= now_ms - LATE_MOST_PAUSES * pause
            if ended or long:
                with self._file.transaction() as connection:
                    self._deliveries.add(connection, self._texts.late(groups))
                    set_group(connection, "late", "passed", edge=edge)


def _seen(key: FaceKey, detail: Detail) -> Seen:
    """Return what the metadata of a face says, within the hour of its key: a file can claim anything."""
    first = key.hour * HOUR_MS
    at = first if detail.at_ms is None else min(max(detail.at_ms, first), first + HOUR_MS - 1)
    score = float(json.loads(detail.document).get("shot_score", 0.0)) if detail.document else 0.0
    return Seen(key, at, detail.visit or key.key, score)
