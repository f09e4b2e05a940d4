"""A listing beside faces that arrive meanwhile."""

import threading
from datetime import datetime, timedelta, timezone

import pytest

from face_app.cloud.gallery.face_key import parse_key
from support.portraits import portrait
from unit.cloud.gallery.conftest import World


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
