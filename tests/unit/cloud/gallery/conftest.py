"""A gallery in this process, over a folder."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from face_app.cloud.gallery.access import users
from face_app.cloud.gallery.gallery import Gallery
from face_app.cloud.gallery.pages.app import make_app
from face_app.common.settings import Broker, GallerySettings, Store
from support.faces import DrawnFace
from support.portraits import portrait

PASSWORD = "correct horse battery"
HASHED = "scrypt$1024$8$1$c2FsdHNhbHRzYWx0c2FsdA==$fXnS5Awj6eMC+z1SbPBpyxEKbW7GHGyuCeVjw7IJSMI="
"""Hash of the password at a low cost, so that tests need not wait."""
NOON = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=timezone.utc)


class World:
    """A bucket that is a folder, and galleries over it."""

    def __init__(self, home: Path) -> None:
        self.bucket = home / "bucket"
        self.bucket.mkdir()
        self.access_log = home / "access.jsonl"
        self._home = home
        self._stack = ExitStack()

    def put(self, *faces: DrawnFace) -> None:
        for face in faces:
            self.write(face.key, face.payload)

    def write(self, key: str, data: bytes) -> None:
        path = self.bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def open(self, *, login: bool = False, eraser: Any = None, list_now: bool = True, **values: Any) -> Gallery:
        """Open a gallery; its broker is away."""
        if login:
            file = self._home / "users.json"
            entries = [{"name": name, "role": role, "password": HASHED} for name, role in ROLES.items()]
            file.write_text(json.dumps({"users": entries}))
            values["users_file"] = file
        settings = GallerySettings(
            store=Store(kind="directory", path=self.bucket),
            broker=Broker(host="127.0.0.1", port=1),
            index=self._home / "index.db",
            access_log=self.access_log,
            **values,
        )
        gallery = Gallery(settings, eraser)
        self._stack.callback(gallery.file.close)
        self._stack.callback(gallery.reader.close)
        if list_now:
            gallery.filler.start()
            self._stack.callback(gallery.filler.stop)
            wait_until(lambda: gallery.filler.progress.completed_at)
        return gallery

    def client(self, gallery: Gallery, **options: Any) -> TestClient:
        """Return a client with a browser's headers."""
        headers = {"Accept": "text/html", "Origin": "http://localhost"}
        return self._stack.enter_context(
            TestClient(make_app(gallery), base_url="http://localhost", headers=headers, **options)
        )

    def accesses(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.access_log.read_text().splitlines()]

    def close(self) -> None:
        self._stack.close()


ROLES = {"vera": "viewer", "ada": "admin"}


def wait_until(condition: Callable[[], Any], *, seconds: float = 60) -> Any:
    """Wait until a condition is true; return its value."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(users, "N", 1024)  # of the hash that unknown names are compared with
    made = World(tmp_path)
    yield made
    made.close()


def faces(count: int, *, every: timedelta = timedelta(minutes=7), **values: Any) -> list[DrawnFace]:
    """Return faces of one outbox, the oldest first; each is a visit of its own."""
    return [portrait(number, NOON + number * every, track=number, **values) for number in range(1, count + 1)]


def login(client: TestClient, user: str, password: str = PASSWORD) -> Any:
    return client.post("/login", data={"user": user, "password": password}, follow_redirects=False)
