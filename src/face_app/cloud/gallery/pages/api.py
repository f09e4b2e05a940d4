"""Answer ``/api/``: the data of the pages as JSON. docs/gallery.md describes it."""

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from face_app.cloud.audit.report_object import dump_audit
from face_app.cloud.gallery.audit_reports import ReportView
from face_app.cloud.gallery.edge_states import CameraState
from face_app.cloud.gallery.gallery import Gallery
from face_app.cloud.gallery.ledger_view import OutboxView, ledger_view
from face_app.cloud.gallery.pages.face_page import address_of, requested_key
from face_app.cloud.gallery.timeline import Shot
from face_app.cloud.gallery.view_filter import encode_view, parse_view
from face_app.common.errors import SettingsError


@dataclass(frozen=True)
class Api:
    """Answers the addresses below ``/api/``."""

    gallery: Gallery

    def faces(self, request: Request) -> Response:
        """Return a page of the timeline."""
        zone = self.gallery.zone
        try:
            view = parse_view(request.query_params, zone)
        except SettingsError as error:
            return JSONResponse({"error": str(error)}, 400)
        page = self.gallery.timeline.page(view.wanted, self.gallery.settings.page, view.before)
        older = f"/api/faces?{encode_view(view.wanted, zone, page.older)}" if page.older else None
        faces = [_face(shot) for shot in page.faces]
        return JSONResponse({"faces": faces, "older": older, "complete": page.complete})

    def face(self, request: Request) -> Response:
        """Return one face and its visit."""
        key = requested_key(request)
        shot = self.gallery.find(key) if key else None
        if shot is None:
            away = key is not None and self.gallery.objects.problem
            return JSONResponse({"error": away or "no such face"}, 503 if away else 404)
        user = request.state.user.name
        self.gallery.access_log.write("view", user=user, address=address_of(request), key=shot.key.key, detail="api")
        visit = [each.key.key for each in self.gallery.timeline.visit(shot)]
        return JSONResponse({**_face(shot), "shots_of_visit": visit})

    def hours(self, request: Request) -> Response:
        """Return the number of faces by hour (UTC)."""
        try:
            view = parse_view(request.query_params, self.gallery.zone)
        except SettingsError as error:
            return JSONResponse({"error": str(error)}, 400)
        hours = self.gallery.queries.hours(view.wanted)
        return JSONResponse({"hours": {_iso(hour): faces for hour, faces in sorted(hours.items())}})

    def edges(self, _request: Request) -> Response:
        """Return the state of each camera."""
        return JSONResponse({"cameras": [_camera(state) for state in self.gallery.states.states()]})

    def ledgers(self, _request: Request) -> Response:
        """Return what the bucket proves for each outbox."""
        view = ledger_view(self.gallery)
        return JSONResponse(
            {
                "outboxes": [_outbox(outbox) for outbox in view.outboxes],
                "quarantine": [
                    {"edge": edge, "reason": reason, "messages": count} for edge, reason, count in view.quarantine
                ],
                "foreign": view.foreign,
                "listed_at": view.listed_at and view.listed_at.isoformat(),
                "audits": [_audit(report) for report in view.reports],
            }
        )

    def state(self, _request: Request) -> Response:
        """Return what the gallery itself cannot do now."""
        progress = self.gallery.filler.progress
        return JSONResponse(
            {
                "notices": [{"what": notice.what, "text": notice.text} for notice in self.gallery.notices()],
                "listing": progress.listing,
                "objects": progress.objects,
                "listed_at": progress.completed_at and progress.completed_at.isoformat(),
                "faces": sum(faces for _, _, faces in self.gallery.queries.cameras()),
            }
        )


def _face(shot: Shot) -> dict[str, Any]:
    return {
        "key": shot.key.key,
        "edge": shot.key.edge,
        "camera": shot.key.camera,
        "id": str(shot.key.face),
        "at": shot.at.astimezone(timezone.utc).isoformat(timespec="milliseconds"),
        "exact": shot.exact,
        "readable": shot.readable,
        "visit": shot.visit or None,
        "image": f"/image/{shot.key.key}",
        "metadata": shot.metadata or None,
    }


def _camera(state: CameraState) -> dict[str, Any]:
    return {
        "edge": state.edge,
        "camera": state.camera,
        "condition": state.condition,
        "age": round(state.age, 1),
        "clock_error": state.clock_error,
        "state": dict(state.document),
    }


def _outbox(outbox: OutboxView) -> dict[str, Any]:
    facts = outbox.facts
    return {
        "edge": facts.edge,
        "outbox": facts.outbox,
        "stored": facts.faces,
        "last": facts.last,
        "gaps": [[span.first, span.last] for span in facts.gaps],
        "missing": facts.missing,
        "erased": outbox.erased,
        "mark": outbox.mark.last,
        "mark_at": outbox.mark.at or None,
        "published": outbox.published,
    }


def _audit(report: ReportView) -> dict[str, Any]:
    values = {"edge": report.edge, "key": report.key, "age": report.age, "ledger_age": report.ledger_age}
    return {**values, "problem": report.problem or None, "report": report.audit and dump_audit(report.audit)}


def _iso(hour: int) -> str:
    return datetime.fromtimestamp(hour * 3600, timezone.utc).isoformat()
