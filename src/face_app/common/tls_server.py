"""Serve HTTP to clients with a certificate. A client that does not finish its handshake delays no other."""

import ssl
import threading
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from face_app.common.errors import SettingsError
from face_app.common.settings import Metrics

CLIENT_SECONDS = 10.0
"""Maximum seconds that a client may let a connection wait, its handshake included."""
MOST_CLIENTS = 16
"""Maximum number of connections; more are closed at once. Prometheus needs one."""


class _Refusal(BaseHTTPRequestHandler):
    """Refuses a client whose name is not allowed."""

    timeout = CLIENT_SECONDS

    def do_GET(self) -> None:
        self.send_error(403, "metrics.client_names lacks the name of this certificate")

    def log_message(self, *_: object) -> None:
        """Log nothing: a scrape comes every few seconds."""


class TlsServer(ThreadingHTTPServer):
    """Requires a client certificate of one CA, with one of the allowed names."""

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        context: ssl.SSLContext,
        names: Collection[str],
    ) -> None:
        """Listen on an address.

        Args:
            address: Host and port.
            handler: Answers the requests.
            context: Certificate of the server, and the CA of its clients.
            names: CNs of the clients that may read; empty: all of the CA.

        Raises:
            OSError: The address is in use.
        """
        super().__init__(address, handler)
        self._context = context
        self._names = frozenset(names)
        self._slots = threading.BoundedSemaphore(MOST_CLIENTS)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - the names are those of the base
        """Return False, and so close the connection, if too many are open."""
        return self._slots.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection in its own thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the thread of the connection, then answer if the name is allowed."""
        request.settimeout(CLIENT_SECONDS)
        with self._context.wrap_socket(request, server_side=True) as connection:
            handler = self.RequestHandlerClass if self._allows(connection) else _Refusal
            handler(connection, client_address, self)  # type: ignore[arg-type]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report nothing: a client without a certificate would fill the log."""

    def _allows(self, connection: ssl.SSLSocket) -> bool:
        certificate: dict[str, Any] = connection.getpeercert() or {}
        names = {value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"}
        return not self._names or not self._names.isdisjoint(names)


def load_context(settings: Metrics) -> ssl.SSLContext:
    """Load the certificate of the server, and the CA of its clients.

    Raises:
        SettingsError: A file cannot be read, or the key does not fit the certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(str(settings.cert_file), settings.key_file)
    except OSError as error:
        advice = "set metrics.cert_file and metrics.key_file to a certificate and its key, both PEM"
        raise SettingsError(f"metrics.cert_file {settings.cert_file}: {error}; {advice}") from error
    try:
        context.load_verify_locations(settings.client_ca_file)
    except OSError as error:
        path = settings.client_ca_file
        raise SettingsError(f"metrics.client_ca_file {path}: {error}; set it to the CA of the clients, PEM") from error
    return context
