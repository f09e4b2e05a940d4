"""Render templates with what every page shows: navigation, user, notices."""

from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from face_app import __version__
from face_app.cloud.gallery import words
from face_app.cloud.gallery.gallery import Gallery

TEMPLATES = Path(__file__).parent / "templates"


class Renderer:
    """Renders pages. Thread-safe."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["words"] = words
        self._environment.globals["version"] = __version__
        self._environment.globals["zone"] = gallery.settings.timezone
        self._environment.filters["local"] = self._local

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Render one page."""
        session = request.state.session
        sessions = self._gallery.sessions
        content = self._environment.get_template(template).render(
            user=request.state.user,
            token=sessions.token(session) if sessions and session else "",
            notices=self._gallery.notices() if request.state.user else [],
            path=request.url.path,
            **values,
        )
        return HTMLResponse(content, status)

    def problem(self, request: Request, status: int, title: str, text: str) -> HTMLResponse:
        """Render a page that says why there is none."""
        return self.page(request, "problem.html", status, title=title, text=text)

    def _local(self, at: datetime, form: str = "%H:%M:%S") -> str:
        try:
            return at.astimezone(self._gallery.zone).strftime(form)
        except (OverflowError, ValueError):  # the first and the last hours of the calendar: a file can claim anything
            return "unknown"
