"""Mosquitto's own clients."""

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.processes import process


@dataclass(frozen=True)
class Outcome:
    """Result of a publication.

    Attributes:
        accepted: The broker accepted the client and the message.
        output: Output of the client.
    """

    accepted: bool
    output: str


@dataclass(frozen=True)
class Listener:
    """A running mosquitto_sub.

    Attributes:
        log: Its output.
    """

    log: Path

    def heard(self) -> list[str]:
        """Each message as ``<topic> <payload>``, in their order."""
        return [line for line in self.log.read_text().splitlines() if "/" in line.split(" ")[0]]

    def wait_for(self, text: str, *, seconds: float = 90) -> None:
        """Wait until it wrote something."""
        deadline = time.monotonic() + seconds
        while text not in self.log.read_text():
            assert time.monotonic() < deadline, f"no {text!r} in {self.log.read_text()}"
            time.sleep(0.02)


@dataclass(frozen=True)
class Client:
    """A client with an identity or without.

    Attributes:
        port: Of the broker on the loopback.
        identity: Options of mosquitto_pub and mosquitto_sub.
    """

    port: int
    identity: tuple[str | Path, ...] = ()

    def publish(self, topic: str, payload: str = "a face") -> Outcome:
        """Publish at QoS 1. With MQTT 5 the broker's answer says whether it took the message."""
        done = subprocess.run(
            self._command("mosquitto_pub", "-V", "5", "-q", "1", "-t", topic, "-m", payload, "-d"),
            check=False,
            capture_output=True,
            text=True,
            timeout=90,
        )
        output = done.stdout + done.stderr
        return Outcome(done.returncode == 0 and "received PUBACK" in output and "failed" not in output, output)

    @contextmanager
    def listen(self, log: Path, *topics: str, session: str | None = None) -> Iterator[Listener]:
        """Subscribe, and go on once the broker took it.

        Args:
            log: A new file.
            topics: Topic filters.
            session: Id of a session that outlives the connection; None: no such session.
        """
        options = [part for topic in topics for part in ("-t", topic)] + (["-c", "-i", session] if session else [])
        with process(self._command("mosquitto_sub", "-q", "1", "-v", "-d", *options), log):
            listener = Listener(log)
            listener.wait_for("Subscribed")
            yield listener

    def _command(self, program: str, *options: str) -> list[str | Path]:
        # Its output is a file, which it would else write in blocks.
        return ["stdbuf", "-oL", program, "-h", "127.0.0.1", "-p", str(self.port), *self.identity, *options]


def with_certificate(port: int, folder: Path, name: str | None, *, authority: Path | None = None) -> Client:
    """A client that shows a certificate.

    Args:
        port: Of the broker.
        folder: With ``ca.crt``, ``<name>.crt`` and ``<name>.key``.
        name: Of the certificate; None: it has none.
        authority: The authority it trusts, if not the one of the folder.
    """
    identity = ("--cert", folder / f"{name}.crt", "--key", folder / f"{name}.key") if name else ()
    return Client(port, ("--cafile", authority or folder / "ca.crt", *identity))


def alert(port: int, folder: Path, name: str | None, *, authority: Path | None = None) -> str:
    """Return the alert with which a broker ends the handshake of a certificate; empty: none.

    In TLS 1.2, where the reason is part of the handshake; a client that speaks 1.3 may lose the connection before it
    has read it. The arguments are those of with_certificate.
    """
    context = ssl.create_default_context(cafile=authority or folder / "ca.crt")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if name:
        context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            context.wrap_socket(connection, server_hostname="127.0.0.1").close()
        except ssl.SSLError as error:
            return error.reason
    return ""


def with_password(port: int, username: str, password: str) -> Client:
    """A client with a name and a password."""
    return Client(port, ("-u", username, "-P", password))
