"""Find out why a broker closes connections without an answer.

Each probe opens a connection of its own, and sends no name and no secret.
"""

import socket
import ssl

from face_app.common.mqtt.causes import CLOSES, EXPECTS_TLS, NO_MQTT_5, NO_TLS, SILENT, cause_of_error
from face_app.common.settings import Broker

TIMEOUT = 5.0
"""Maximum seconds for each step of a probe."""
ALERT_SECONDS = 1.0
"""Seconds to wait for a TLS alert. In TLS 1.3 the client certificate is refused after the handshake."""
CONNECT_3_1_1 = bytes((0x10, 12, 0, 4, *b"MQTT", 4, 2, 0, 10, 0, 0))
"""CONNECT of MQTT 3.1.1 with a clean session and an empty client id."""
CONNACK = 0x20


def diagnose(broker: Broker, context: ssl.SSLContext | None) -> str:
    """Return why a broker closes the connection, as the end of a sentence about it.

    Args:
        broker: Address and identity.
        context: TLS configuration of the connection; None: without TLS.
    """
    try:
        return _with_tls(broker, context) if context else _without_tls(broker)
    except (OSError, ValueError) as error:
        return cause_of_error(error, broker) or CLOSES


def tls_context(broker: Broker) -> ssl.SSLContext | None:
    """Return the TLS configuration of a connection; None without `ca_file`.

    Raises:
        OSError: A file cannot be read, or is not what its setting expects.
    """
    if not broker.ca_file:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(broker.ca_file)
    if broker.cert_file:
        context.load_cert_chain(broker.cert_file, broker.key_file)
    return context


def _without_tls(broker: Broker) -> str:
    if _speaks_tls(broker):
        return EXPECTS_TLS
    with _open(broker) as connection:
        return _verdict(_ask(connection))


def _with_tls(broker: Broker, context: ssl.SSLContext) -> str:
    with _open(broker) as connection:
        try:
            encrypted = context.wrap_socket(connection, server_hostname=broker.host)
        except OSError as error:
            return cause_of_error(error, broker) or _without_handshake(broker)
        with encrypted:
            # Nothing is sent before the alert: otherwise a reset by the broker could discard it.
            encrypted.settimeout(ALERT_SECONDS)
            try:
                if not encrypted.recv(1):
                    return CLOSES
            except TimeoutError:
                encrypted.settimeout(TIMEOUT)
            return _verdict(_ask(encrypted))


def _without_handshake(broker: Broker) -> str:
    """Return why a broker ends or ignores the TLS handshake."""
    with _open(broker) as connection:
        answer = _ask(connection)
    return NO_TLS if answer and answer[0] == CONNACK else _verdict(answer)


def _speaks_tls(broker: Broker) -> bool:
    """Return whether the port answers a TLS handshake; its certificate does not matter, because nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with _open(broker) as connection:
        try:
            context.wrap_socket(connection, server_hostname=broker.host).close()
        except ssl.SSLError as error:
            return "ALERT" in (error.reason or "")
        except OSError:
            return False
    return True


def _open(broker: Broker) -> socket.socket:
    return socket.create_connection((broker.host, broker.port), timeout=TIMEOUT)


def _ask(connection: socket.socket) -> bytes | None:
    """Send a CONNECT of MQTT 3.1.1.

    Returns:
        The beginning of the answer; empty if the connection ends, None if there is no answer in time.
    """
    try:
        connection.sendall(CONNECT_3_1_1)
        return connection.recv(4)
    except TimeoutError:
        return None
    except ConnectionError:
        return b""


def _verdict(answer: bytes | None) -> str:
    if answer is None:
        return SILENT
    return NO_MQTT_5 if answer and answer[0] == CONNACK else CLOSES
