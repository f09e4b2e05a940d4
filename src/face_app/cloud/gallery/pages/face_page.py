"""Answer the page of one face, and its picture."""

import hashlib
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from face_app.cloud.gallery import words
from face_app.cloud.gallery.face_key import FaceKey, parse_key
from face_app.cloud.gallery.gallery import Gallery
from face_app.cloud.gallery.pages.render import Renderer
from face_app.common.errors import StoreError

TYPES = {"jpg": "image/jpeg", "png": "image/png"}
GONE = "It was erased or deleted, or its address is mistyped."


@dataclass(frozen=True)
class FacePage:
    """Answers ``/face/<key>``."""

    gallery: Gallery
    renderer: Renderer

    def answer(self, request: Request) -> Response:
        """Show one face with its metadata and the other shots of its visit."""
        key = requested_key(request)
        if key is None:
            return self._missing(request)
        shot = self.gallery.find(key)
        if shot is None and self.gallery.objects.problem:
            return self.renderer.problem(request, 503, "The bucket does not answer", self.gallery.objects.problem)
        if shot is None:
            return self._missing(request)
        user = request.state.user
        newer, older = self.gallery.timeline.neighbours(shot)
        # Its pictures are logged by `ImagePage`. The page is an access too: it has the time and the place.
        self.gallery.access_log.write("view", user=user.name, address=address_of(request), key=key.key, detail="page")
        return self.renderer.page(
            request,
            "face.html",
            shot=shot,
            facts=words.facts(shot),
            terms=words.terms(shot),
            visit=self.gallery.timeline.visit(shot),
            newer=newer,
            older=older,
            may_erase=self.gallery.eraser is not None and user.role == "admin",
        )

    def _missing(self, request: Request) -> Response:
        return self.renderer.problem(request, 404, "There is no such face", GONE)


@dataclass(frozen=True)
class ImagePage:
    """Answers ``/image/<key>``: the bytes of the object, through the gallery."""

    gallery: Gallery

    def answer(self, request: Request) -> Response:
        """Return the image file of one face."""
        key = requested_key(request)
        if key is None:
            return PlainTextResponse("no such face\n", 404)
        try:
            data = self.gallery.objects.get(key.key)
        except StoreError as error:
            return PlainTextResponse(f"{error}\n", 503, {"Retry-After": "5"})
        if data is None:
            self._remove_from_index(key)
            return PlainTextResponse("no such face\n", 404)
        download = "download" in request.query_params
        user, address = request.state.user.name, address_of(request)
        self.gallery.access_log.write("download" if download else "view", user=user, address=address, key=key.key)
        # A browser asks again each time. So it shows no face that was erased a minute ago, and each view is in the log.
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()[:32]}"', "Cache-Control": "private, no-cache"}
        if request.headers.get("if-none-match") == headers["ETag"] and not download:
            return Response(status_code=304, headers=headers)
        headers["Content-Disposition"] = f'{"attachment" if download else "inline"}; filename="{key.name}"'
        return Response(data, media_type=TYPES[key.name.rpartition(".")[2]], headers=headers)

    def _remove_from_index(self, key: FaceKey) -> None:
        if self.gallery.writer.remove(key):
            self.gallery.events.announce([])  # open pages read their faces again


def requested_key(request: Request) -> FaceKey | None:
    """Return the key in the path; None if it is not the key of a face."""
    return parse_key(request.path_params["key"])


def address_of(request: Request) -> str:
    """Return the address of the client."""
    return request.client.host if request.client else "unknown"
