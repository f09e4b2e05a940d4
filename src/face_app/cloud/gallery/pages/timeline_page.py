"""Answer the timeline."""

from dataclasses import dataclass
from datetime import datetime, timezone

from starlette.requests import Request
from starlette.responses import Response

from face_app.cloud.gallery.chart import make_chart
from face_app.cloud.gallery.gallery import Gallery
from face_app.cloud.gallery.index_queries import Filter
from face_app.cloud.gallery.pages.render import Renderer
from face_app.cloud.gallery.view_filter import encode_view, local_time, parse_view
from face_app.common.errors import SettingsError


@dataclass(frozen=True)
class TimelinePage:
    """Answers ``/``."""

    gallery: Gallery
    renderer: Renderer

    def answer(self, request: Request) -> Response:
        """Show the faces that the address asks for."""
        gallery = self.gallery
        try:
            view = parse_view(request.query_params, gallery.zone)
        except SettingsError as error:
            return self.renderer.problem(request, 400, "This address is not valid", str(error))
        page = gallery.timeline.page(view.wanted, gallery.settings.page, view.before)
        newest = page.faces[0].at if page.faces else datetime.now(timezone.utc)
        chart = make_chart(gallery.queries, view.wanted, newest, gallery.zone)
        cameras = gallery.queries.cameras()
        matching = [
            faces
            for edge, camera, faces in cameras
            if view.wanted.edge in {"", edge} and view.wanted.camera in {"", camera}
        ]
        ranged = view.wanted.since is not None or view.wanted.until is not None
        total = sum(gallery.queries.hours(view.wanted).values()) if ranged else sum(matching)
        return self.renderer.page(
            request,
            "timeline.html",
            view=view,
            filtered=view.wanted != Filter(),
            since=local_time(view.wanted.since, gallery.zone),
            until=local_time(view.wanted.until, gallery.zone),
            timeline=page,
            total=total,
            chart=chart,
            edges=sorted({edge for edge, _, _ in cameras}),
            cameras=sorted({camera for _, camera, _ in cameras}),
            today=datetime.now(gallery.zone).date(),
            address=lambda wanted, before=None: f"/?{encode_view(wanted, gallery.zone, before)}".rstrip("?"),
        )
