"""Send news to the browsers that watch: server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from face_app.cloud.gallery.face_key import FaceKey

MOST_WATCHERS = 64
"""Maximum number of open streams; each is one connection."""
BEAT_SECONDS = 15.0
"""Seconds without news until a comment is sent: a lost connection is noticed, and proxies do not close it."""


class Events:
    """Hands news from any thread to the watchers in the event loop. A watcher gets the newest only."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watchers: set[asyncio.Queue[dict[str, Any] | None]] = set()
        self._change_waits = False

    def attach(self) -> None:
        """Use the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._change_waits = False

    @property
    def full(self) -> bool:
        """Return True if no other watcher is accepted."""
        return len(self._watchers) >= MOST_WATCHERS

    def announce(self, faces: list[FaceKey]) -> None:
        """Report new faces, or with an empty list any other change. Thread-safe."""
        if not faces:
            if self._change_waits:
                return  # a flood of changes must not fill the queue of the event loop
            self._change_waits = True
        news = {"faces": len(faces), "keys": [face.key for face in faces[:10]]}
        self._call(news)

    def close(self) -> None:
        """End all streams. Thread-safe."""
        self._call(None)

    def _call(self, news: dict[str, Any] | None) -> None:
        loop = self._loop
        if loop and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(self._hand_out, news)
            except RuntimeError:  # it was closed meanwhile
                return

    def _hand_out(self, news: dict[str, Any] | None) -> None:
        if news and not news["faces"]:
            self._change_waits = False
        for watcher in self._watchers:
            if watcher.full():
                watcher.get_nowait()  # the page reloads as a whole, so the newest news are enough
            watcher.put_nowait(news)

    async def stream(self, *, seconds: float, allowed: Callable[[], bool]) -> AsyncIterator[str]:
        """Yield news as server-sent events until the login ends.

        Args:
            seconds: Maximum duration.
            allowed: Returns False once the user has logged out.
        """
        watcher: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(8)
        self._watchers.add(watcher)
        end = asyncio.get_running_loop().time() + seconds
        try:
            yield "retry: 2000\n\n"
            while (remaining := end - asyncio.get_running_loop().time()) > 0:
                try:
                    news = await asyncio.wait_for(watcher.get(), min(BEAT_SECONDS, remaining))
                except asyncio.TimeoutError:
                    yield ": still here\n\n"
                    continue
                if news is None or not allowed():
                    return
                yield f"event: {'faces' if news['faces'] else 'change'}\ndata: {json.dumps(news)}\n\n"
        finally:
            self._watchers.discard(watcher)
