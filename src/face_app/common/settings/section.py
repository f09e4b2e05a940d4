"""Define value types with ranges, and the sections that both programs share."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from face_app.common.wire import NAME

Name = Annotated[str, Field(pattern=rf"^{NAME}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
LogLevel = Literal["debug", "info", "warning", "error"]


def _check_host(text: str) -> str:
    """Return a host without blanks around it.

    Raises:
        ValueError: No connection could use it; an invalid name would end a thread of the MQTT client.
    """
    host = text.strip()
    try:
        valid = bool(host.encode("idna")) and not re.search(r"[/@\s]|^[^:]*:[^:]*$", host)
    except UnicodeError:
        valid = False
    if not valid:
        raise ValueError("is no host: set it to a name or an address, without scheme and port")
    return host


Host = Annotated[str, AfterValidator(_check_host)]


class Section(BaseModel):
    """Is the base of a section: immutable, without unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Identity(Section):
    """Configures how a client identifies itself and its broker. The password is read from a file."""

    keepalive: int = Field(
        15, ge=5, le=3600, description="Seconds between pings; limits the time until a lost connection is detected."
    )
    username: str | None = Field(None, description="User name, if the broker requires one.")
    password_file: Path | None = Field(None, description="File with the password in its first line.")
    ca_file: Path | None = Field(None, description="CA certificate of the broker; enables TLS.")
    cert_file: Path | None = Field(None, description="Client certificate.")
    key_file: Path | None = Field(None, description="Private key of the client certificate.")

    @model_validator(mode="after")
    def _check_identity(self) -> "Identity":
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("cert_file and key_file belong together: set both or neither")
        if self.cert_file and not self.ca_file:
            raise ValueError("cert_file without ca_file: set ca_file to the CA of the broker")
        if self.password_file and not self.username:
            raise ValueError("password_file without username: set username")
        return self


class Broker(Identity):
    """Configures address and identity for the broker."""

    host: Host = Field("localhost", description="Name or address of the broker.")
    port: Port = Field(1883, description="1883 in clear text, 8883 with TLS.")

    def rename_settings(self, advice: str) -> str:
        """Return an advice with the names that these settings have where they were read; here `broker.*`."""
        return advice


class Metrics(Section):
    """Configures the HTTP endpoint: /metrics for Prometheus, /live and /ready for health checks."""

    host: str = Field("127.0.0.1", description="Address to listen on, in clear text.")
    port: Port | None = Field(None, description="Port to listen on, in clear text; unset: no listener.")
    tls_host: str = Field("0.0.0.0", description="Address of the second listener, which requires client certificates.")  # noqa: S104
    tls_port: Port | None = Field(None, description="Port of the second listener; unset: none.")
    cert_file: Path | None = Field(None, description="Certificate of the second listener, PEM.")
    key_file: Path | None = Field(None, description="Private key of the certificate.")
    client_ca_file: Path | None = Field(None, description="CA of the clients; another client is refused.")
    client_names: list[str] = Field(
        [], description="CNs of the clients that may read; empty: each client with a certificate of the CA."
    )

    @model_validator(mode="after")
    def _check_tls(self) -> "Metrics":
        if len({bool(each) for each in (self.tls_port, self.cert_file, self.key_file, self.client_ca_file)}) > 1:
            raise ValueError("tls_port, cert_file, key_file and client_ca_file belong together: set all or none")
        if self.port and self.port == self.tls_port:
            raise ValueError(f"port and tls_port are both {self.port}: set two different ports")
        return self
