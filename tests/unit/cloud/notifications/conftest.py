"""A notifier in this process, over a folder, with services on the loopback."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from face_app.cloud.gallery.details import DetailReader
from face_app.cloud.gallery.face_key import parse_key
from face_app.cloud.gallery.index_file import IndexFile
from face_app.cloud.gallery.index_writer import IndexWriter
from face_app.cloud.gallery.objects import Objects
from face_app.cloud.notifications.notifier import Notifier
from face_app.common.settings import Broker, GallerySettings, Metrics, Notifications, Store
from support.faces import DrawnFace
from support.portraits import portrait
from support.receiver import Receiver, receiver


class Desk:
    """A bucket that is a folder, and notifiers over it, one at a time."""

    def __init__(self, home: Path) -> None:
        self.bucket = home / "bucket"
        self.bucket.mkdir()
        self.urls_file = home / "urls"
        self.index = home / "gallery.db"
        self.file = home / "gallery-notifications.db"
        self._home = home
        self._stack = ExitStack()
        self._notifier: Notifier | None = None
        self._sequence = 0

    def receiver(self) -> Receiver:
        return self._stack.enter_context(receiver())

    def settings(self, *urls: str, public_url: str | None = None, zone: str = "UTC", **values: Any) -> GallerySettings:
        self.urls_file.write_text("\n".join(urls) + "\n")
        return GallerySettings(
            store=Store(kind="directory", path=self.bucket),
            broker=Broker(host="127.0.0.1", port=1),
            index=self.index,
            public_url=public_url,
            timezone=zone,
            metrics=Metrics(port=1),  # this process listens itself, if at all
            notifications=Notifications(urls_file=self.urls_file, **values),
        )

    def open(self, *urls: str, start: bool = True, **values: Any) -> Notifier:
        """Open a notifier, after the one before was closed."""
        self.close()
        settings = self.settings(*urls, **values)
        objects = Objects(settings.store, connections=4)
        index = IndexFile(self._home / f"index-{self._sequence}.db")
        reader = DetailReader(objects, IndexWriter(index))
        self._notifier = Notifier(settings, objects, reader)
        if start:
            self._notifier.start()
        return self._notifier

    def close(self) -> None:
        if self._notifier:
            self._notifier.stop()
        self._notifier = None

    def end(self) -> None:
        self.close()
        self._stack.close()

    def face(self, captured_at: datetime | None = None, **values: Any) -> DrawnFace:
        """Put another face into the bucket; it is a visit of its own unless the values say otherwise."""
        self._sequence += 1
        taken = captured_at or datetime.now(timezone.utc)
        made = portrait(self._sequence, taken, **{"track": self._sequence, **values})
        path = self.bucket / made.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.payload)
        return made

    def store(self, notifier: Notifier, *faces: DrawnFace) -> None:
        """Report stored faces, as receipts do."""
        now = int(datetime.now(timezone.utc).timestamp() * 1000)
        notifier.on_stored({key: now for face in faces if (key := parse_key(face.key))})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.end()


def ago(**values: float) -> datetime:
    return datetime.now(timezone.utc) - timedelta(**values)
