"""Define the settings of the gallery."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from face_app.common.settings.cloud import CloudProgram, Erasure, Store
from face_app.common.settings.notifications import Notifications
from face_app.common.settings.section import Metrics, Name, Port


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:  # a missing zone raises a LookupError
        raise ValueError("not a time zone of this machine; give one such as Europe/Berlin") from error
    return name


def _web_address(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or "@" in address:
        raise ValueError("is no address of a web page; give one such as https://faces.example.com")
    return address.rstrip("/")


HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]


class GallerySettings(CloudProgram):
    """Contains the settings of ``face-app gallery``."""

    name: Name = Field("gallery", description="Name of this gallery; the CN of its certificate for the broker.")
    host: str = Field("127.0.0.1", description="Address to listen on; one of another machine needs TLS and users.")
    port: Port = Field(8480, description="Port to listen on.")
    published_locally: bool = Field(
        False,
        description="Treat host as an address of this machine alone: it is the one inside a container, whose engine "
        "publishes the port on 127.0.0.1. Then TLS and users are optional.",
    )
    names: list[HostName] = Field(
        [],
        description="Host names in the addresses that browsers use, besides localhost, 127.0.0.1, host and public_url.",
    )
    public_url: Annotated[str, AfterValidator(_web_address)] | None = Field(
        None, description="Address at which browsers reach the pages; links in notifications begin with it."
    )
    cert_file: Path | None = Field(None, description="Certificate of the gallery, PEM; enables TLS.")
    key_file: Path | None = Field(None, description="Private key of the certificate.")
    users_file: Path | None = Field(
        None, description="JSON file of the users, as docs/gallery.md describes it; unset: no login, on this host only."
    )
    session_hours: float = Field(12, gt=0, le=720, description="Hours until a login ends.")
    access_log: Path | None = Field(
        None, description="File to which each view of a face is added as a line of JSON; unset: standard error."
    )
    index: Path = Field(
        Path("~/.cache/face-app/gallery.db"), description="SQLite file of the index. It can be deleted at any time."
    )
    relist_minutes: float = Field(60, ge=0.01, description="Minutes between two listings of the whole bucket.")
    page: int = Field(60, ge=1, le=200, description="Number of faces on one page of the timeline.")
    timezone: Annotated[str, AfterValidator(_known_zone)] = Field("UTC", description="Time zone of the pages.")
    erases: bool = Field(
        False, description="Let admins erase faces; needs a key that may delete, see erasure.credentials_file."
    )
    store: Store
    erasure: Erasure = Erasure()
    metrics: Metrics = Metrics()
    notifications: Notifications = Notifications()

    @property
    def published(self) -> bool:
        """Return True if other machines may reach the address."""
        if self.published_locally:
            return False
        try:
            return not ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"

    @model_validator(mode="after")
    def _check_access(self) -> "GallerySettings":
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("cert_file and key_file belong together: set both or neither")
        if self.published and not (self.cert_file and self.users_file):
            raise ValueError(
                f"host {self.host} is open to other machines: set cert_file, key_file and users_file, "
                "or host to 127.0.0.1"
            )
        if self.notifications.alerts_token_file and self.metrics.port is None:
            raise ValueError("notifications.alerts_token_file needs metrics.port: alarms are received there")
        return self
