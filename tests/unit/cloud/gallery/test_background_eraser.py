"""An admin erases faces and visits from the page, with the product's own eraser."""

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from face_app.cloud.bucket.tombstone import TOMBSTONES
from face_app.cloud.erasure import eraser as erasers
from face_app.cloud.gallery import background_eraser
from face_app.cloud.gallery.background_eraser import BackgroundEraser
from face_app.common.metadata import write_metadata
from face_app.common.settings import Erasure, GallerySettings, Store
from face_app.common.wire import Receipt, dump_receipts
from support.faces import DrawnFace
from support.waiting import until
from unit.cloud.gallery.conftest import NOON, World, faces, login


@pytest.fixture
def eraser(world: World, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[BackgroundEraser]:
    monkeypatch.setattr(erasers, "SPARE_SECONDS", 0.0)
    store = Store(kind="directory", path=world.bucket)
    settings = GallerySettings(store=store, erasure=Erasure(staleness=0.2), index=tmp_path / "unused.db")
    made = BackgroundEraser(settings)
    made.start()
    yield made
    made.stop()


def token_of(page: Any) -> str:
    return re.search(r'name="token" value="([0-9a-f]+)"', page.text)[1]


def visit_shots() -> list[DrawnFace]:
    """Three faces; the first two are shots of one visit."""
    made = []
    for face, track in zip(faces(3), (1, 1, 2), strict=True):
        metadata = replace(face.metadata, visit=f"0badcafe-12345678-{track}")
        made.append(DrawnFace(write_metadata(face.payload, face.id, metadata), face.id, metadata))
    return made


def shown(client: Any) -> set[str]:
    return {each["key"] for each in client.get("/api/faces").json()["faces"]}


def test_a_face_is_erased_and_disappears_at_once(world: World, eraser: BackgroundEraser):
    face, other = faces(2)
    world.put(face, other)
    client = world.client(world.open(login=True, eraser=eraser))
    login(client, "ada")
    assert client.get(f"/image/{face.key}").status_code == 200  # it is in memory now
    page = client.get(f"/face/{face.key}")
    assert client.post(f"/erase/{face.key}", data={"token": token_of(page)}, follow_redirects=False).status_code == 303
    assert shown(client) == {other.key}
    for path in (f"/image/{face.key}", f"/face/{face.key}", f"/api/faces/{face.key}"):
        assert client.get(path).status_code == 404
    assert not (world.bucket / face.key).exists()
    assert (world.bucket / "erased" / face.key).exists()
    world.put(face)  # as a subscriber does that does not know the tombstone yet
    until(lambda: not (world.bucket / face.key).exists())


def test_a_visit_is_erased_with_the_shots_that_still_wait(world: World, eraser: BackgroundEraser):
    first, second, other = visit_shots()
    world.put(first, other)
    client = world.client(world.open(login=True, eraser=eraser))
    login(client, "vera")
    page = client.get(f"/face/{first.key}")
    assert "Erase" not in page.text
    assert client.post(f"/erase-visit/{first.key}", data={"token": token_of(page)}).status_code == 403
    client.cookies.clear()
    login(client, "ada")
    shown(client)
    page = client.get(f"/face/{first.key}")
    assert "Erase this visit" in page.text
    assert client.post(f"/erase-visit/{first.key}", data={"token": "0" * 64}).status_code == 403
    assert (world.bucket / first.key).exists()
    answer = client.post(f"/erase-visit/{first.key}", data={"token": token_of(page)}, follow_redirects=False)
    assert answer.status_code == 303
    assert shown(client) == {other.key}
    lines = [(each["user"], each["key"], each["detail"]) for each in world.accesses() if each["action"] == "erase"]
    assert lines == [("ada", first.key, "visit")]
    world.put(second)
    until(lambda: not (world.bucket / second.key).exists())
    assert (world.bucket / other.key).exists()


def test_two_admins_erase_the_same_face_at_once(world: World, eraser: BackgroundEraser):
    (face,) = faces(1)
    world.put(face)
    gallery = world.open(login=True, eraser=eraser)
    clients = [world.client(gallery) for _ in range(2)]
    tokens = []
    for client in clients:
        login(client, "ada")
        tokens.append(token_of(client.get(f"/face/{face.key}")))
    answers = []

    def erase(client: Any, token: str) -> None:
        answers.append(client.post(f"/erase/{face.key}", data={"token": token}, follow_redirects=False).status_code)

    threads = [threading.Thread(target=erase, args=each) for each in zip(clients, tokens, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [303, 303]
    assert not (world.bucket / face.key).exists()


def test_a_restart_completes_an_interrupted_erasure(world: World, eraser: BackgroundEraser, monkeypatch: Any):
    (face,) = faces(1)
    world.put(face)
    eraser.stop()
    with monkeypatch.context() as patch:
        patch.setattr(eraser._eraser, "sweep", lambda _: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            eraser.erase(face.key, "ada")
    assert (world.bucket / face.key).exists()
    settings = GallerySettings(store=Store(kind="directory", path=world.bucket), erasure=Erasure(staleness=0.2))
    again = BackgroundEraser(settings)
    again.start()
    until(lambda: not (world.bucket / face.key).exists())
    again.stop()


def test_a_bucket_that_is_away_is_named_until_the_erasure_is_complete(
    world: World, eraser: BackgroundEraser, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(background_eraser, "RETRY_SECONDS", 0.1)
    (face,) = faces(1)
    world.put(face)
    gallery = world.open(login=True, eraser=eraser)
    client = world.client(gallery)
    login(client, "ada")
    token = token_of(client.get(f"/face/{face.key}"))
    away = world.bucket.with_name("away")
    world.bucket.rename(away)
    answer = client.post(f"/erase/{face.key}", data={"token": token})
    assert answer.status_code == 503
    assert "Erase it again" in answer.text
    away.rename(world.bucket)
    answer = client.post(f"/erase/{face.key}", data={"token": token}, follow_redirects=False)
    assert answer.status_code == 303
    until(lambda: eraser.problem == "")
    assert len(list((world.bucket / TOMBSTONES).iterdir())) == 1


def test_a_receipt_of_result_erased_removes_a_face_from_the_pages(world: World):
    face, other = faces(2)
    world.put(face, other)
    gallery = world.open()
    client = world.client(gallery)
    assert shown(client) == {face.key, other.key}
    (world.bucket / face.key).unlink()
    receipt = Receipt(face.id, face.sha256, face.key, NOON + timedelta(minutes=1), "erased")

    class Message:
        topic, payload, retain = "receipts/jetson/s1", dump_receipts([receipt]), False

    gallery.feed._handle(Message(), "")
    assert shown(client) == {other.key}
    assert client.get(f"/image/{face.key}").status_code == 404
