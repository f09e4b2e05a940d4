"""Add the security headers to the answers that the web server gives before any page is asked."""

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from face_app.cloud.gallery.access.guard import HEADERS


class GuardedProtocol(H11Protocol):
    """Answers what is no HTTP like any other wrong request."""

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that cannot be parsed, and close the connection."""
        own = {"Content-Type": "text/plain; charset=utf-8", "Connection": "close", "Cache-Control": "private, no-store"}
        head = h11.Response(status_code=400, headers=list({**HEADERS, **own}.items()), reason=b"Bad Request")
        for event in (head, h11.Data(data=f"{msg}\n".encode()), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
