"""Answer ``/export.zip``: faces of a range or a visit as one file."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import chain

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from face_app.cloud.bucket.export_faces import export_zip
from face_app.cloud.bucket.selection import Selection
from face_app.cloud.erasure.request import requested_range
from face_app.cloud.gallery.gallery import Gallery
from face_app.cloud.gallery.pages.face_page import address_of
from face_app.cloud.gallery.view_filter import parse_view
from face_app.common.errors import SettingsError, StoreError

MARGIN_HOURS = 1
"""Hours before the first and after the last known shot of a visit in which further ones are searched."""


@dataclass(frozen=True)
class ExportPage:
    """Answers ``/export.zip``."""

    gallery: Gallery

    def answer(self, request: Request) -> Response:
        """Return the file in pieces; the access log has a line for each face."""
        try:
            selection = self._selection(request)
        except SettingsError as error:
            return PlainTextResponse(f"{error}\n", 400)
        pieces = self._pieces(request, selection)
        try:
            first = next(pieces)  # before the answer begins, so that it can say why there is none
        except (StoreError, SettingsError) as error:
            return PlainTextResponse(f"{error}\n", 503, {"Retry-After": "5"})
        name = f"faces-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}.zip"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(chain([first], pieces), media_type="application/zip", headers=headers)

    def _pieces(self, request: Request, selection: Selection) -> Iterator[bytes]:
        user, address, log = request.state.user.name, address_of(request), self.gallery.access_log
        log.write("export", user=user, address=address, detail=str(selection))

        def downloaded(key: str) -> None:
            log.write("download", user=user, address=address, key=key, detail="export")

        yield from export_zip(self.gallery.settings.store, selection, on_face=downloaded)

    def _selection(self, request: Request) -> Selection:
        wanted, visit = parse_view(request.query_params, self.gallery.zone).wanted, request.query_params.get("visit")
        since, until = wanted.since, wanted.until
        if not wanted.edge and "/" not in (visit or ""):  # the id of a visit begins with its edge
            raise SettingsError("edge: not set; an export covers one edge, such as ?edge=jetson")
        hours = [face.key.hour for face in self.gallery.queries.visit(visit)] if visit else []
        if hours:  # without a range, every object of the outbox would be read
            since, until = since or min(hours) - MARGIN_HOURS, until or max(hours) + 1 + MARGIN_HOURS
        limits = {"edge": wanted.edge, "camera": wanted.camera, "from": _time(since), "to": _time(until)}
        return requested_range({**limits, "visit": visit})


def _time(hour: int | None) -> str | None:
    return None if hour is None else (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(hours=hour)).isoformat()
