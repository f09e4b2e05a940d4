"""A listing beside faces that arrive meanwhile."""

import threading
from datetime import datetime, timedelta, timezone

import pytest

from face_app.cloud.gallery.face_key import parse_key
from face_app.common.errors import StoreError
from support.portraits import portrait
from unit.cloud.gallery.conftest import World, faces, wait_until


def test_a_face_that_arrives_during_a_listing_of_the_last_days_stays(world: World, monkeypatch: pytest.MonkeyPatch):
    """Its receipt comes after the store has answered and before the index has the answer."""
    at = datetime.now(timezone.utc).replace(minute=30, second=0)
    listed, late = portrait(1, at), portrait(2, at + timedelta(seconds=1))
    key = parse_key(late.key)
    world.put(listed)
    gallery = world.open()
    pages, prefixes, second = gallery.objects.pages, [], threading.Event()

    def pages_before_a_receipt(prefix):
        prefixes.append(prefix)
        if len(prefixes) == 1:
            gallery.filler.list_recent()
        if len(prefixes) > 2:  # two days are one listing: all of the first is in the index now
            second.set()
            return
        for page in pages(prefix):
            gallery.filler.arrived({key: 0})
            yield page

    monkeypatch.setattr(gallery.objects, "pages", pages_before_a_receipt)
    gallery.filler.list_recent()
    assert second.wait(60)
    assert gallery.queries.face(key), prefixes


def test_a_face_that_is_erased_during_a_listing_does_not_return(world: World, monkeypatch: pytest.MonkeyPatch):
    """The store has answered with a page that has the face, and the index has not compared it yet."""
    at = datetime.now(timezone.utc).replace(minute=30, second=0)
    stays, erased = portrait(1, at), portrait(2, at + timedelta(seconds=1))
    world.put(stays, erased)
    gallery = world.open()
    pages, prefixes, second = gallery.objects.pages, [], threading.Event()

    def pages_before_an_erasure(prefix):
        prefixes.append(prefix)
        if len(prefixes) == 1:
            gallery.filler.list_recent()
        if len(prefixes) > 2:  # two days are one listing: all of the first is in the index now
            second.set()
            return
        for page in pages(prefix):
            gallery.forget([parse_key(erased.key)])
            yield page

    monkeypatch.setattr(gallery.objects, "pages", pages_before_an_erasure)
    gallery.filler.list_recent()
    assert second.wait(60)
    found = [gallery.queries.face(parse_key(each.key)) is not None for each in (stays, erased)]
    assert found == [True, False]


def test_a_listing_of_the_last_days_finds_a_new_camera(world: World):
    """Its first receipts came while the gallery had no connection to the broker."""
    at = datetime.now(timezone.utc).replace(minute=30, second=0)
    world.put(portrait(1, at))
    gallery = world.open()
    new = portrait(2, at, camera="outage")
    world.put(new)
    gallery.filler.list_recent()
    wait_until(lambda: gallery.queries.face(parse_key(new.key)))


def test_a_listing_of_the_last_days_that_fails_is_repeated(world: World, monkeypatch: pytest.MonkeyPatch):
    at = datetime.now(timezone.utc).replace(minute=30, second=0)
    listed, late = portrait(1, at), portrait(2, at + timedelta(seconds=1))
    world.put(listed)
    gallery = world.open()
    pages, failures = gallery.objects.pages, iter([StoreError("bucket faces does not answer")])

    def pages_after_a_failure(prefix):
        if failure := next(failures, None):
            raise failure
        return pages(prefix)

    monkeypatch.setattr(gallery.objects, "pages", pages_after_a_failure)
    world.put(late)
    gallery.filler.list_recent()
    wait_until(lambda: gallery.queries.face(parse_key(late.key)))
    assert next(failures, None) is None


def test_a_listing_of_the_last_days_announces_what_is_gone(world: World, monkeypatch: pytest.MonkeyPatch):
    at = datetime.now(timezone.utc).replace(minute=30, second=0)
    face = portrait(1, at)
    world.put(face, portrait(2, at + timedelta(seconds=1)))
    gallery = world.open()
    gone_at_news = []
    monkeypatch.setattr(
        gallery.filler, "_on_change", lambda _: gone_at_news.append(not gallery.queries.face(parse_key(face.key)))
    )
    (world.bucket / face.key).unlink()
    gallery.filler.list_recent()
    wait_until(lambda: gone_at_news)
    assert gone_at_news == [True]


def test_the_count_of_objects_is_that_of_a_complete_listing(world: World, monkeypatch: pytest.MonkeyPatch):
    world.put(*faces(3))
    gallery = world.open(relist_minutes=1)
    pages, seen = gallery.objects.pages, []

    def pages_that_fail(prefix):
        seen.append(gallery.filler.progress)
        yield next(iter(pages(prefix)))[:1]
        seen.append(gallery.filler.progress)
        raise StoreError("bucket faces does not answer")

    monkeypatch.setattr(gallery.objects, "pages", pages_that_fail)
    with pytest.raises(StoreError):
        gallery.filler._list_all()
    assert [(each.objects, each.last_objects) for each in seen] == [(0, 3), (1, 3)]
    assert gallery.filler.progress.last_objects == 3
