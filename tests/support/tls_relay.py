"""TLS in front of a server that has none."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit


@contextmanager
def tls_relay(endpoint: str, certificate: Path) -> Iterator[str]:
    """Relay connections to an HTTP address.

    Args:
        endpoint: Address of the server.
        certificate: Path of the certificate and its key, without ``.crt`` and ``.key``.

    Yields:
        The address with TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{certificate}.crt", f"{certificate}.key")
    target = urlsplit(endpoint)
    address = (target.hostname or "127.0.0.1", target.port or 80)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=(server, context, address), daemon=True).start()
        try:
            yield f"https://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket, context: ssl.SSLContext, address: tuple[str, int]) -> None:
    with suppress(OSError):  # the relay is shut down
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_relay, args=(connection, context, address), daemon=True).start()


def _relay(connection: socket.socket, context: ssl.SSLContext, address: tuple[str, int]) -> None:
    with (
        suppress(OSError),
        context.wrap_socket(connection, server_side=True) as near,
        socket.create_connection(address) as far,
    ):
        back = threading.Thread(target=_pump, args=(far, near), daemon=True)
        back.start()
        _pump(near, far)
        back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
