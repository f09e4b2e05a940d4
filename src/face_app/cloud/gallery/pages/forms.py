"""Answer the forms: log in, log out, erase."""

from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from face_app.cloud.gallery.access.guard import COOKIE
from face_app.cloud.gallery.face_key import FaceKey
from face_app.cloud.gallery.gallery import Gallery
from face_app.cloud.gallery.pages.face_page import address_of, requested_key
from face_app.cloud.gallery.pages.render import Renderer
from face_app.common.errors import StoreError

MAX_FORM = 8_192
"""Maximum bytes of a form."""


@dataclass(frozen=True)
class Forms:
    """Answers ``/login``, ``/logout``, ``/erase/<key>`` and ``/erase-visit/<key>``."""

    gallery: Gallery
    renderer: Renderer

    async def login(self, request: Request) -> Response:
        """Show the login, or log in."""
        if self.gallery.sessions is None or request.state.session:
            return RedirectResponse("/", 303)
        if request.method != "POST":
            return self._login_page(request, 200, request.query_params.get("to", ""), "")
        form = await read_form(request)
        return await run_in_threadpool(self._log_in, request, form)

    def _log_in(self, request: Request, form: dict[str, str]) -> Response:
        users, sessions = self.gallery.users, self.gallery.sessions
        assert users  # noqa: S101 - the caller has checked it
        assert sessions  # noqa: S101
        address, name, target = address_of(request), form.get("user", "")[:64], form.get("to", "")
        limit, log = self.gallery.login_limit, self.gallery.access_log
        wait = limit.wait(address, name)
        if wait:
            log.write("refused", user=name, address=address, detail="too many attempts")
            answer = self._login_page(request, 429, target, f"Too many attempts. Try again in {wait:.0f} seconds.")
            answer.headers["Retry-After"] = f"{wait:.0f}"
            return answer
        limit.failed(address, name)  # before the check, so that parallel attempts count
        user = users.verify(name, form.get("password", ""))
        if user is None:
            log.write("refused", user=name, address=address, detail="wrong user or password")
            return self._login_page(request, 401, target, "This user and password do not match.")
        limit.succeeded(address, name)
        log.write("login", user=user.name, address=address)
        cookie = sessions.begin(user)
        response = RedirectResponse(_own_path(target), 303)
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=int(self.gallery.settings.session_hours * 3600),
            secure=self.gallery.settings.cert_file is not None,
            httponly=True,
            samesite="lax",  # strict would ask for a login behind each link from elsewhere
        )
        return response

    async def logout(self, request: Request) -> Response:
        """End the session."""
        refusal = await self._refuse_forged(request)
        if refusal:
            return refusal
        session, sessions = request.state.session, self.gallery.sessions
        if session and sessions:
            sessions.end(session)
            self.gallery.access_log.write("logout", user=session.user.name, address=address_of(request))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE)
        return response

    async def erase(self, request: Request) -> Response:
        """Erase a face, if the user may and the gallery can."""
        return await self._erase(request, whole_visit=False)

    async def erase_visit(self, request: Request) -> Response:
        """Erase all shots of the visit of a face, if the user may and the gallery can."""
        return await self._erase(request, whole_visit=True)

    async def _erase(self, request: Request, *, whole_visit: bool) -> Response:
        user, key = request.state.user, requested_key(request)
        refusal = await self._refuse_forged(request)
        if refusal:
            return refusal
        if user.role != "admin" or self.gallery.eraser is None:
            address = address_of(request)
            detail = "erase: not an admin" if self.gallery.eraser else "erase: not configured"
            self.gallery.access_log.write("refused", user=user.name, address=address, detail=detail)
            return self.renderer.problem(request, 403, "You may not erase faces", "Only a user with role admin may.")
        if key is None:
            return self.renderer.problem(request, 404, "There is no such face", "Its address is mistyped.")
        return await run_in_threadpool(self._erase_faces, request, key, whole_visit)

    def _erase_faces(self, request: Request, key: FaceKey, whole_visit: bool) -> Response:
        gallery, user, eraser = self.gallery, request.state.user, self.gallery.eraser
        assert eraser  # noqa: S101 - the caller has checked it
        shot = gallery.timeline.face(key) if whole_visit else None
        shots = [each.key for each in gallery.timeline.visit(shot)] if shot else [key]
        for each in shots:
            detail = "visit" if whole_visit else ""
            gallery.access_log.write("erase", user=user.name, address=address_of(request), key=each.key, detail=detail)
        try:
            if shot and shot.visit:
                eraser.erase_visit([each.key for each in shots], shot.visit, user.name)
            else:
                eraser.erase(key.key, user.name)
        except StoreError as error:
            return self.renderer.problem(request, 503, "Not everything is erased yet", f"Erase it again. {error}")
        gallery.forget(shots)
        return RedirectResponse("/", 303)

    async def _refuse_forged(self, request: Request) -> Response | None:
        """Return a refusal if a form has not the token of its session."""
        form = await read_form(request)
        session, sessions = request.state.session, self.gallery.sessions
        if sessions is None or (session and sessions.token_matches(session, form.get("token", ""))):
            return None
        self.gallery.access_log.write("refused", user="", address=address_of(request), detail="wrong form token")
        return self.renderer.problem(request, 403, "This form is too old", "Open the page again and repeat it.")

    def _login_page(self, request: Request, status: int, target: str, problem: str) -> Response:
        return self.renderer.page(request, "login.html", status, target=target, problem=problem)


async def read_form(request: Request) -> dict[str, str]:
    """Read a form; one that is too large has no fields."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            return {}
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace"), max_num_fields=10).items()}


def _own_path(target: str) -> str:
    """Return a path of the gallery: a link may not lead the user elsewhere after the login."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if plain and "\\" not in target else "/"
