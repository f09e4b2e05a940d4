"""A real S3 server that enforces keys: SeaweedFS."""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from support.ports import free_ports, wait_for_port
from support.processes import process

ACCESS_KEY = "face-app-test"
SECRET_KEY = "only-for-tests"
MISSING = "weed is missing: install requirements/store.txt beside this Python, or put weed on PATH"


def weed() -> str | None:
    """The `weed` of this environment, else the one on PATH."""
    beside = Path(sys.executable).parent / "weed"
    return str(beside) if beside.is_file() and os.access(beside, os.X_OK) else shutil.which("weed")


@dataclass(frozen=True)
class SeaweedFS:
    """A running S3 server.

    Attributes:
        endpoint: Its S3 address.
        credentials: File with ACCESS_KEY:SECRET_KEY, mode 0600, as s3fs wants it.
        process: For tests that stop, freeze or kill it.
    """

    endpoint: str
    credentials: Path
    process: Popen[bytes]


@contextmanager
def seaweedfs(
    *, folder: Path | None = None, ports: list[int] | None = None, identities: Sequence[dict[str, Any]] = ()
) -> Iterator[SeaweedFS]:
    """Run `weed mini` on the loopback, without telemetry, every port its own.

    Args:
        folder: Its objects and log; None: a temporary one.
        ports: Ten of them, the first is S3; None: free ones. The same folder and ports again is the same
            server, started again.
        identities: Further accounts, as SeaweedFS has them.
    """
    program = weed()
    if not program:
        raise FileNotFoundError(MISSING)
    with tempfile.TemporaryDirectory(prefix="weed-") as temporary:
        home = folder or Path(temporary)
        s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc, admin, admin_grpc = (
            ports or free_ports(10)
        )
        config, credentials = home / "s3.json", home / "credentials"
        keys = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        actions = ["Admin", "Read", "List", "Tagging", "Write"]
        config.write_text(
            json.dumps({"identities": [{"name": "app", "credentials": keys, "actions": actions}, *identities]})
        )
        credentials.write_text(f"{ACCESS_KEY}:{SECRET_KEY}\n")
        credentials.chmod(0o600)
        (home / "objects").mkdir(exist_ok=True)
        command = [
            *(program, "-logtostderr=true", "mini", f"-dir={home / 'objects'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *("-master.telemetry=false", "-webdav=false", "-admin.ui=false"),
            *(f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}", f"-s3.config={config}"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"),
            *(f"-master.port={master}", f"-master.port.grpc={master_grpc}"),
            # Each bucket takes a volume; by default a disk of 42 GB ends at 41 buckets.
            *(f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}", "-volume.max=2000"),
            *(f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}"),
            *(f"-admin.port={admin}", f"-admin.port.grpc={admin_grpc}"),
        ]
        with process(command, home / "weed.log", cwd=home, env={**os.environ, "TMPDIR": str(home)}) as running:
            wait_for_port(s3, running)
            _wait_until_it_answers(f"http://127.0.0.1:{s3}/")
            yield SeaweedFS(f"http://127.0.0.1:{s3}", credentials, running)


def _wait_until_it_answers(address: str, *, seconds: float = 90) -> None:
    """Its port is open before it can answer; a refusal without a key is an answer."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            urlopen(address, timeout=5).close()
        except HTTPError as answer:
            if answer.code < 500:
                return
        except (URLError, OSError):
            pass
        else:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"{address} does not answer")
        time.sleep(0.1)
