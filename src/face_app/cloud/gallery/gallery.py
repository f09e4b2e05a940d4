"""Assemble the parts of the gallery."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from face_app.cloud.gallery.access.access_log import AccessLog
from face_app.cloud.gallery.access.login_limit import LoginLimit
from face_app.cloud.gallery.access.sessions import Sessions
from face_app.cloud.gallery.access.users import Users
from face_app.cloud.gallery.audit_reports import AuditReports
from face_app.cloud.gallery.details import DetailReader
from face_app.cloud.gallery.edge_states import MOST_CAMERAS, EdgeStates
from face_app.cloud.gallery.events import Events
from face_app.cloud.gallery.face_key import FaceKey
from face_app.cloud.gallery.feed import Feed
from face_app.cloud.gallery.fill import Filler
from face_app.cloud.gallery.index_file import IndexFile
from face_app.cloud.gallery.index_queries import IndexQueries
from face_app.cloud.gallery.index_writer import IndexWriter
from face_app.cloud.gallery.objects import Objects
from face_app.cloud.gallery.timeline import Shot, Timeline
from face_app.cloud.notifications.notifier import Notifier
from face_app.common.errors import StoreError
from face_app.common.health_server import Capability, Health
from face_app.common.settings import GallerySettings

CONNECTIONS = 16
"""Maximum number of parallel requests to the bucket."""
MOST_NAMES = 5
"""Maximum number of edges that a notice names."""


class Eraser(Protocol):
    """Erases faces from the bucket for good."""

    def erase(self, key: str, user: str) -> None:
        """Erase one face: leave its tombstone, then delete every version of it.

        Raises:
            StoreError: The erasure is not complete; repeat it.
        """

    def erase_visit(self, keys: Sequence[str], visit: str, user: str) -> None:
        """Erase all shots of a visit.

        Args:
            keys: Keys of the known shots.
            visit: Id of the visit, ``<edge>/<visit>``; it covers shots that still wait at the edge.
            user: Who erases them.

        Raises:
            StoreError: The erasure is not complete; repeat it.
        """

    @property
    def problem(self) -> str:
        """Return why an erasure is not complete; empty while there is no reason."""


@dataclass(frozen=True)
class Notice:
    """Describes what a page cannot show, and since when it tries.

    Attributes:
        what: ``bucket``, ``broker``, ``erasure``, ``listing``, ``cameras`` or ``notifications``.
        text: One sentence.
    """

    what: str
    text: str


class Gallery:
    """Contains the parts that the pages use.

    Attributes:
        settings: Settings of the gallery.
        eraser: Erases faces; None: the gallery only shows them.
        users: Users; None: no login.
        sessions: Sessions of the users; None: no login.
        notifier: Announces new faces; None: no service is set.
    """

    def __init__(self, settings: GallerySettings, eraser: Eraser | None = None) -> None:
        """Open the index and prepare the threads; `start` starts them.

        Raises:
            SettingsError: A file cannot be read or written.
        """
        self.settings = settings
        self.eraser = eraser
        self.zone = ZoneInfo(settings.timezone)
        self.users = Users(settings.users_file) if settings.users_file else None
        self.sessions = Sessions(self.users, hours=settings.session_hours) if self.users else None
        self.login_limit = LoginLimit()
        self.access_log = AccessLog(settings.access_log)
        self.events = Events()
        self.states = EdgeStates()
        self.objects = Objects(settings.store, connections=CONNECTIONS)
        self.reports = AuditReports(self.objects)
        self.file = IndexFile(settings.index)
        self.queries = IndexQueries(self.file)
        self.writer = IndexWriter(self.file)
        self.reader = DetailReader(self.objects, self.writer)
        self.timeline = Timeline(self.queries, self.reader, self.zone)
        self.notifier = Notifier(settings, self.objects, self.reader) if settings.notifications.urls_file else None
        self.filler = Filler(
            self.objects,
            self.writer,
            self.queries,
            interval=settings.relist_minutes * 60,
            on_change=self.events.announce,
        )
        self.filler.watcher = self.notifier
        self.feed = Feed(
            settings,
            self.states,
            on_faces=self._stored,
            on_change=lambda: self.events.announce([]),
            on_gap=self.filler.list_recent,
            on_erased=self.forget,
        )

    @cached_property
    def names(self) -> set[str]:
        """Return the host names that requests may carry."""
        public = urlsplit(self.settings.public_url).hostname if self.settings.public_url else None
        return {self.settings.host, "localhost", "127.0.0.1", "::1", *self.settings.names} | (
            {public} if public else set()
        )

    def start(self) -> None:
        """Start to list the bucket, and to listen to the broker."""
        if self.notifier:
            self.notifier.start()
        self.filler.start()
        self.feed.start()

    def stop(self) -> None:
        """Stop all threads, and close the index."""
        self.events.close()
        self.feed.stop()
        self.filler.stop()
        if self.notifier:
            self.notifier.stop()
        self.reader.close()
        self.file.close()

    def _stored(self, faces: Mapping[FaceKey, int]) -> None:
        """Take faces that receipts report. A face that the index has is a copy, and no news."""
        if self.notifier:
            self.notifier.on_stored({key: at for key, at in faces.items() if self.queries.face(key) is None})
        self.filler.arrived(faces)

    def find(self, key: FaceKey) -> Shot | None:
        """Return a face of the index, or of the bucket while the index lacks it; None if neither has it."""
        shot = self.timeline.face(key)
        if shot:
            return shot
        with suppress(StoreError):
            if self.objects.get(key.key) is not None:
                self.filler.arrived({key: 0})
        return self.timeline.face(key)

    def forget(self, keys: Sequence[FaceKey]) -> None:
        """Show faces no longer, because they are erased."""
        for key in keys:
            self.objects.forget(key.key)
        self.filler.erased(keys)

    def notices(self) -> list[Notice]:
        """Return what the pages cannot show now."""
        notices = []
        progress = self.filler.progress
        if self.objects.problem:
            text = f"The bucket does not answer; this page recovers by itself. Cause: {self.objects.problem}"
            notices.append(Notice("bucket", text))
        if self.feed.gap:
            text = f"No live news: {self.feed.gap}. New faces appear after the next listing."
            notices.append(Notice("broker", text))
        if self.eraser and self.eraser.problem:
            notices.append(Notice("erasure", f"An erasure is not complete, and is repeated: {self.eraser.problem}"))
        if progress.listing and not progress.completed_at:
            notices.append(Notice("listing", f"The bucket is being listed: {progress.objects:,} objects so far."))
        edges = self.states.with_too_many
        if edges:
            cause = f"{len(edges)} edges with more than {MOST_CAMERAS} cameras: {', '.join(edges[:MOST_NAMES])}."
            notices.append(Notice("cameras", f"{cause} The states of the others are not shown."))
        if self.notifier:
            notices += [Notice("notifications", text) for text in self.notifier.problems()]
        return notices

    @property
    def failure(self) -> str:
        """Return why the program cannot go on; empty while it can."""
        return self.file.damage or self.filler.problem

    def health(self) -> Health:
        """Determine the health of the program."""
        broken = self.failure
        reason = broken or self.objects.problem or self.feed.problem
        progress = self.filler.progress
        # The first listing of a large bucket takes minutes. Meanwhile the pages show what it has found.
        listed = bool(progress.completed_at or progress.objects)
        works = {Capability.OBJECTS: not self.objects.problem and listed}
        works[Capability.RECEIPTS] = not self.feed.problem
        facts = {
            "listing": progress.listing,
            "objects": progress.objects,
            "listing_seconds": round(progress.seconds, 1),
            "bucket": self.objects.problem or None,
            "broker": self.feed.gap or None,
            "notifications": " ".join(self.notifier.problems()) or None if self.notifier else None,
            "notifications_waiting": self.notifier.waiting if self.notifier else None,
        }
        return Health(not broken, not reason, reason, frozenset(name for name, true in works.items() if true), facts)
