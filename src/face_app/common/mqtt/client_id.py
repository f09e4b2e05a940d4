"""Name the session of a client at its broker."""

import hashlib
import hmac

from face_app.common.errors import SettingsError
from face_app.common.settings import Broker

PROOF_DIGITS = 16
"""Hex digits of the key's digest in a client id: 64 bits, too many to guess at a broker."""


def client_id(purpose: str, name: str, broker: Broker) -> str:
    """Return the id of a session, the same after each start.

    A broker ends a connection when another client connects with the same id. So the id contains a digest that only the
    owner of the private key can compute: no other certificate can end the connection, and two hosts whose programs have
    one name and different keys do not end each other's.

    Args:
        purpose: Kind of the session, such as ``sender``.
        name: Distinguishes the sessions of one purpose that have one key.
        broker: Identity of the client; without a private key the id has no digest.

    Raises:
        SettingsError: The private key cannot be read.
    """
    if not broker.key_file:
        return f"{purpose}-{name}"
    try:
        key = broker.key_file.read_bytes()
    except OSError as error:
        raise SettingsError(f"broker.key_file {broker.key_file} cannot be read: {error.strerror}") from error
    return f"{purpose}-{name}-{hmac.new(key, purpose.encode(), hashlib.sha256).hexdigest()[:PROOF_DIGITS]}"
