"""Assemble the parts of the notifications, and run their threads.

A receipt or a listing reports a face to `News`. `Planner` decides which faces make a message now, and writes it to
`Deliveries`. For each service, a `DeliveryWorker` sends the messages. `Alarms` writes messages to `Deliveries` too.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

from face_app.cloud.gallery.details import DetailReader
from face_app.cloud.gallery.face_key import FaceKey, parse_key
from face_app.cloud.gallery.objects import Listed, Objects
from face_app.cloud.gallery.words import plural
from face_app.cloud.notifications import notification_metrics as metrics
from face_app.cloud.notifications.alarms import Alarms, read_token
from face_app.cloud.notifications.announcement_rules import AnnouncementRules
from face_app.cloud.notifications.deliveries import Deliveries
from face_app.cloud.notifications.delivery_worker import DeliveryWorker
from face_app.cloud.notifications.file_retry import FileRetry
from face_app.cloud.notifications.news import News
from face_app.cloud.notifications.notification_file import NotificationFile, now_ms
from face_app.cloud.notifications.planner import Planner, Tables
from face_app.cloud.notifications.services import read_services
from face_app.cloud.notifications.texts import Texts
from face_app.common.settings import GallerySettings

log = logging.getLogger(__name__)

FILE_SUFFIX = "-notifications.db"
"""End of the name of the file, which is beside the index. Deleting the index does not delete it."""
SUMMARY_CHECK_SECONDS = 1.0
"""Seconds between two checks whether a summary is due."""
BUCKET_RETRY_SECONDS = 3.0
"""Seconds until a bucket that does not answer is asked again."""


class Notifier:
    """Takes new faces and alarms, and hands messages to the workers of the services. Thread-safe.

    Nothing here delays a face or a page: `on_stored` and `on_listed` write a few rows, and errors stay inside.

    Attributes:
        alarms: Receives alarms; None: no token is set.
    """

    def __init__(self, settings: GallerySettings, objects: Objects, reader: DetailReader) -> None:
        """Read the services and open the file; `start` starts the threads.

        Args:
            settings: Settings of the gallery; ``notifications.urls_file`` is set.
            objects: The bucket.
            reader: Reads metadata from it.

        Raises:
            SettingsError: A file cannot be read or written, or a URL cannot be used.
        """
        options = settings.notifications
        assert options.urls_file  # noqa: S101
        services = read_services(options.urls_file)
        token = read_token(options.alerts_token_file) if options.alerts_token_file else ""
        self._write_problem = ""
        """Why the latest face could not be written; empty after a success."""
        self._missed = False
        """True if a face could not be written since the latest complete listing began."""
        self._objects = objects
        self._file = NotificationFile(settings.index.with_name(settings.index.stem + FILE_SUFFIX))
        self._news = News(self._file)
        self._deliveries = Deliveries(self._file, [service.id for service in services])
        zone = ZoneInfo(settings.timezone)
        self._rules = AnnouncementRules(options, zone)
        texts = Texts(zone, settings.public_url)
        tables = Tables(self._file, self._news, self._deliveries)
        self._planner = Planner(options, self._rules, texts, tables, reader.fetch)
        give_up_ms = options.give_up_minutes * 60_000
        self._workers = [
            DeliveryWorker(service, self._deliveries, objects.get, give_up_ms=give_up_ms) for service in services
        ]
        self.alarms = Alarms(token, self._file, self._deliveries, self._wake_workers) if token else None
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._planning = FileRetry("notifications", "no face is announced", self._stopped)
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
        if self._deliveries.interrupted:
            count = plural(self._deliveries.interrupted, "message")
            log.warning("%s may have been sent when the program ended; they are not sent again", count)

    def start(self) -> None:
        """Start the threads."""
        self._thread.start()
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """Stop the threads, and close the file. Waiting messages are sent after the next start."""
        self._stopped.set()
        self._wake.set()
        if self._thread.ident:
            self._thread.join(5)
            for worker in self._workers:
                worker.stop()
        metrics.waiting.set_function(lambda: 0)  # otherwise the gauge would retain `Deliveries` and the closed file
        self._file.close()

    def on_stored(self, faces: Mapping[FaceKey, int]) -> None:
        """Add faces that receipts report, with the times of the receipts in milliseconds."""
        self._offer(faces)

    def on_listed(self, page: list[Listed]) -> None:
        """Add the faces of a page of a listing: its newest objects may be faces whose receipts were lost."""
        recent = [each for each in page if each.stored_ms >= self._news.since_ms]
        self._offer({key: each.stored_ms for each in recent if (key := parse_key(each.key))})

    def on_listing_complete(self, began_at: datetime) -> None:
        """Record that a complete listing has ended; if a face was missed, the next one must offer it again."""
        missed, self._missed = self._missed, False
        if not missed:
            began_ms = int(began_at.astimezone(timezone.utc).timestamp() * 1000)
            self._write(lambda: self._news.listed_since(began_ms))

    def _offer(self, faces: Mapping[FaceKey, int]) -> None:
        wanted = {key: at for key, at in faces.items() if self._rules.wants(key.edge, key.camera)}
        if wanted and self._write(lambda: self._news.offer(wanted)):
            self._wake.set()

    def _write(self, write: Callable[[], int | None]) -> int | None:
        """Write to the file; return None if that fails, as on a full disk."""
        try:
            result = write()
        except sqlite3.Error as error:
            self._missed = True
            if not self._write_problem and not self._stopped.is_set():
                self._write_problem = f"no face is announced: {error}; a later listing offers it again"
                log.error("notifications: %s", self._write_problem)  # noqa: TRY400 - the cause is in the text
            return None
        if self._write_problem:
            log.info("notifications: faces are announced again")
        self._write_problem = ""
        return result

    def _wake_workers(self) -> None:
        for worker in self._workers:
            worker.wake()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                judged = self._planning.run(lambda: self._planner.plan(now_ms()))
                self._wake_workers()
                self._wake.wait(SUMMARY_CHECK_SECONDS if judged else BUCKET_RETRY_SECONDS)
                self._wake.clear()
        except Exception as error:  # a defect here must not end the gallery
            if not self._stopped.is_set() and not self._planning.problem:
                self._planning.problem = f"no face is announced: {error}; restart the gallery"
                log.exception("notifications: %s", self._planning.problem)

    @property
    def waiting(self) -> int:
        """Return the number of messages that wait for a service."""
        return self._deliveries.count()

    def problems(self) -> list[str]:
        """Return what prevents the delivery of messages, one sentence for each cause."""
        problem = self._planning.problem or self._write_problem
        found = [f"Notifications: {problem}."] if problem else []
        for worker in self._workers:
            if worker.problem:
                waiting = plural(self._deliveries.count(worker.service.id), "message")
                abandoned = f", {worker.abandoned:,} given up" if worker.abandoned else ""
                found.append(f"Notifications: {worker.problem}; {waiting} waiting{abandoned}.")
        return found
