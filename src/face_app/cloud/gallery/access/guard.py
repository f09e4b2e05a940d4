"""Check every request before a page sees it, and add the security headers to every answer.

Without users, no login is needed: only accounts of this machine reach the port, and the machine has the key of the
bucket. A web page in a local browser must not read faces. Its requests carry another Host (after DNS rebinding),
another Origin, or the Sec-Fetch-Site of another page.
"""

from collections.abc import Collection
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from face_app.cloud.gallery.access.sessions import Sessions
from face_app.cloud.gallery.access.users import LOCAL

COOKIE = "face-app-session"
LOGIN = "/login"
STATIC = "/static/"
"""Prefix of files that need no login, as the page `LOGIN` itself: they show no face."""
DATA = ("/api/", "/image/", "/events")
"""Prefixes of what is no page: without a login, a redirect to one would not help."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would send the origin "null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), browsing-topics=()",
    "X-Robots-Tag": "noindex, nofollow",
}


class Guard:
    """Checks each request before the application gets it."""

    def __init__(self, app: ASGIApp, *, sessions: Sessions | None, names: Collection[str], tls: bool) -> None:
        """Wrap an application.

        Args:
            app: Application that answers allowed requests.
            sessions: Sessions of the users; None: no login.
            names: Host names in the addresses that browsers use.
            tls: True if browsers reach the gallery by https.
        """
        self._app = app
        self._sessions = sessions
        self._names = {name.lower() for name in names}
        self._tls = tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on with ``session`` and ``user`` in its state."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a WebSocket, which no page uses
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "private, no-store")
                if self._tls:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        answer = self._refusal(scope) or self._require_login(scope)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if _host_name(headers.get("host", "")) not in self._names:
            return PlainTextResponse("this address is not one of the gallery; add its name to the setting names\n", 421)
        if scope["method"] not in {"GET", "HEAD", "POST"}:
            return PlainTextResponse("method not allowed\n", 405, {"Allow": "GET, HEAD, POST"})
        origin = headers.get("origin")
        if scope["method"] == "POST" and origin is None:
            return PlainTextResponse("refused: a form of another site\n", 403)
        if origin is not None and _netloc(origin) != headers.get("host", "").lower():
            return PlainTextResponse("refused: a request of another site\n", 403)
        # Links from elsewhere may open a page; pictures and data may not be embedded elsewhere.
        if headers.get("sec-fetch-site") in {"cross-site", "same-site"} and headers.get("sec-fetch-mode") != "navigate":
            return PlainTextResponse("refused: a request of another site\n", 403)
        return None

    def _require_login(self, scope: Scope) -> Response | None:
        """Put user and session into the state of the request; answer it if a login is needed and missing."""
        request = Request(scope)
        request.state.session, request.state.user = None, None
        if self._sessions is None:
            request.state.user = LOCAL
            return None
        session = self._sessions.check(request.cookies.get(COOKIE, ""))
        if session:
            request.state.session, request.state.user = session, session.user
            return None
        path: str = scope["path"]
        if path == LOGIN or path.startswith(STATIC):
            return None
        wants_page = "text/html" in request.headers.get("accept", "") and scope["method"] == "GET"
        if wants_page and not path.startswith(DATA):
            return RedirectResponse(f"/login?{_encoded_target(request)}", 303)
        return PlainTextResponse("log in first\n", 401)


def _encoded_target(request: Request) -> str:
    query = request.url.query
    return urlencode({"to": request.url.path + (f"?{query}" if query else "")})


def _netloc(origin: str) -> str:
    """Return host and port of an origin; empty for one that is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _host_name(host: str) -> str:
    """Return the name in a Host header, without its port: a tunnel may end at any port."""
    if host.startswith("["):
        return host.partition("]")[0][1:].lower()
    return host.partition(":")[0].lower()
