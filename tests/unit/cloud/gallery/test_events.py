"""News reach the watchers while their login lasts."""

import asyncio

from face_app.cloud.gallery.events import Events
from face_app.cloud.gallery.face_key import parse_key
from support.portraits import portrait
from unit.cloud.gallery.conftest import NOON


def test_a_stream_ends_before_the_first_news_after_a_logout():
    key = parse_key(portrait(1, NOON).key)
    assert key

    async def watch() -> list[str]:
        events, allowed, heard = Events(), [True], []
        events.attach()
        async for text in events.stream(seconds=60, allowed=lambda: allowed[0]):
            heard.append(text)
            allowed[0] = len(heard) < 2
            events.announce([key])
        return heard

    opening, news = asyncio.run(watch())
    assert opening == "retry: 2000\n\n"
    assert key.key in news
