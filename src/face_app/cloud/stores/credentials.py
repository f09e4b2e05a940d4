"""Read the files that identify both ends: the key pair in the format of s3fs, and the CA of the store."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from face_app.common.errors import SettingsError


@dataclass(frozen=True)
class Credentials:
    """Contains the key pair for the store."""

    access_key: str
    secret_key: str = field(repr=False)


def read_credentials(file: Path, bucket: str) -> Credentials:
    """Read ``ACCESS_KEY:SECRET_KEY``, or the line ``BUCKET:ACCESS_KEY:SECRET_KEY`` of the bucket.

    Raises:
        SettingsError: The file cannot be read, or contains no key pair for this bucket.
    """
    try:
        lines = [line.strip() for line in file.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise SettingsError(f"store.credentials_file {file} cannot be read: {error}") from error
    if not all(line.isascii() and line.isprintable() for line in lines if not line.startswith("#")):
        raise SettingsError(f"store.credentials_file {file} contains a character that no key has; write it again")
    entries = [line.split(":") for line in lines if line and not line.startswith("#")]
    # A line for this bucket has priority over a line for all buckets.
    for entry in entries:
        if len(entry) == 3 and entry[0] == bucket and all(entry):
            return Credentials(entry[1], entry[2])
    for entry in entries:
        if len(entry) == 2 and all(entry):
            return Credentials(entry[0], entry[1])
    raise SettingsError(
        f"store.credentials_file {file} contains no line ACCESS_KEY:SECRET_KEY or {bucket}:ACCESS_KEY:SECRET_KEY"
    )


def read_ca(file: Path) -> bytes:
    """Read the CA certificates of a store, in PEM.

    Raises:
        SettingsError: The file cannot be read, or contains no certificate.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
        return file.read_bytes()
    except OSError as error:  # an SSLError is one: no certificate
        raise SettingsError(f"store.ca_file {file} cannot be read: {error}; it needs CA certificates, PEM") from error
