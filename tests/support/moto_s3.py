"""An S3 server in this process (moto), for tests without refusals."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from moto.server import ThreadedMotoServer

from support.ports import free_port
from support.seaweedfs import ACCESS_KEY, SECRET_KEY


@dataclass(frozen=True)
class MotoS3:
    """A running S3 server that accepts any key and forgets everything at its end.

    Attributes:
        endpoint: Its S3 address.
        credentials: File with ACCESS_KEY:SECRET_KEY.
    """

    endpoint: str
    credentials: Path


@contextmanager
def moto_s3(folder: Path, *, port: int | None = None) -> Iterator[MotoS3]:
    """Run the server on a free port, or on a known one to come back after an outage."""
    port = port or free_port()
    credentials = folder / "credentials"
    credentials.write_text(f"{ACCESS_KEY}:{SECRET_KEY}\n")
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    try:
        yield MotoS3(f"http://127.0.0.1:{port}", credentials)
    finally:
        server.stop()
