"""Connect addresses with what answers them."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from face_app.cloud.gallery.access.guard import COOKIE, Guard
from face_app.cloud.gallery.gallery import Gallery
from face_app.cloud.gallery.pages.api import Api
from face_app.cloud.gallery.pages.edges_and_ledgers import EdgesPage, LedgersPage
from face_app.cloud.gallery.pages.export_page import ExportPage
from face_app.cloud.gallery.pages.face_page import FacePage, ImagePage
from face_app.cloud.gallery.pages.forms import Forms
from face_app.cloud.gallery.pages.render import Renderer
from face_app.cloud.gallery.pages.timeline_page import TimelinePage

STATIC = Path(__file__).parent / "static"
STREAM_SECONDS = 3600.0
"""Maximum duration of one stream of news; the browser opens another, if its login still counts."""


def make_app(gallery: Gallery) -> ASGIApp:
    """Return the application of a gallery, guarded."""
    renderer = Renderer(gallery)
    forms, api = Forms(gallery, renderer), Api(gallery)

    async def news(request: Request) -> Response:
        if gallery.events.full:
            return PlainTextResponse("too many watchers\n", 503, {"Retry-After": "60"})
        session = request.state.session
        seconds = min(STREAM_SECONDS, session.expires_at - time.time()) if session else STREAM_SECONDS
        cookie, sessions = request.cookies.get(COOKIE, ""), gallery.sessions
        stream = gallery.events.stream(
            seconds=seconds, allowed=lambda: sessions is None or bool(sessions.check(cookie))
        )
        return StreamingResponse(stream, media_type="text/event-stream")

    async def not_found(request: Request, _error: Exception) -> Response:
        return renderer.problem(request, 404, "There is no such page", "The address is mistyped.")

    async def failed(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse("the gallery failed; its log has the cause\n", 500)

    routes = [
        Route("/", TimelinePage(gallery, renderer).answer),
        Route("/face/{key:path}", FacePage(gallery, renderer).answer),
        Route("/image/{key:path}", ImagePage(gallery).answer),
        Route("/edges", EdgesPage(gallery, renderer).answer),
        Route("/ledgers", LedgersPage(gallery, renderer).answer),
        Route("/export.zip", ExportPage(gallery).answer),
        Route("/events", news),
        Route("/login", forms.login, methods=["GET", "POST"]),
        Route("/logout", forms.logout, methods=["POST"]),
        Route("/erase/{key:path}", forms.erase, methods=["POST"]),
        Route("/erase-visit/{key:path}", forms.erase_visit, methods=["POST"]),
        Route("/api/faces", api.faces),
        Route("/api/faces/{key:path}", api.face),
        Route("/api/hours", api.hours),
        Route("/api/edges", api.edges),
        Route("/api/ledgers", api.ledgers),
        Route("/api/state", api.state),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        gallery.events.attach()
        yield

    app = Starlette(routes=routes, exception_handlers={404: not_found, 500: failed}, lifespan=lifespan)
    tls = gallery.settings.cert_file is not None
    return Guard(app, sessions=gallery.sessions, names=gallery.names, tls=tls)
