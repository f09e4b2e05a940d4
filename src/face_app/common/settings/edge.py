"""Define the settings of the edge."""

import re
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from face_app.common.settings.program import Program
from face_app.common.settings.section import Broker, Identity, Metrics, Name, Seconds, Section
from face_app.common.settings.vision import Camera, Crop, Detector, Gate, Shot, Zones
from face_app.common.wire import RESERVED


def _this_host() -> str:
    """Return the host name of this machine as a valid edge name."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname().split(".")[0]).strip("-_")[:63] or "edge"
    return f"{name}-edge" if name in RESERVED else name


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name} is the prefix of other objects in the bucket; choose another name")
    return name


class OutboxFile(Section):
    """Configures the storage for faces that wait for a receipt."""

    path: Path = Field(Path("~/.local/state/face-app/outbox.db"), description="SQLite file on a local disk.")
    max_bytes: int = Field(10_000_000_000, ge=1_000_000, description="Maximum bytes of waiting and refused faces.")
    when_full: Literal["stop", "drop-oldest", "drop-lowest-score"] = Field(
        "stop", description="stop: read no frame until there is room; drop-…: evict faces; each counts as expired."
    )
    late_after: Seconds = Field(
        300, description="Seconds until a waiting face makes the program not ready, unless another was stored since."
    )
    ledger_days: float = Field(
        30, gt=0, description="Days from the receipt until the row of a face is pruned; refused faces expire then."
    )


class Sender(Section):
    """Configures how waiting faces are sent."""

    link: Literal["direct", "bridged"] = Field(
        "direct", description="bridged: a forwarder publishes the uplink state; direct: no forwarder."
    )
    window: int = Field(500, ge=2, le=10000, description="Maximum number of messages in flight without a receipt.")
    live_share: float = Field(
        0.5, gt=0, lt=1, description="Share of the window for the newest faces while a backlog drains."
    )
    resend_after: Seconds = Field(5, description="Minimum seconds without a receipt until a face is resent.")
    resend_cap: Seconds = Field(300, description="Maximum seconds between two attempts for one face.")


class Status(Section):
    """Configures the published state of a camera."""

    publish: bool = Field(True, description="Publish the camera's state, retained, on status/<edge>/<camera>.")
    certificate_file: Path | None = Field(
        None,
        description="Certificate of this box towards the cloud, whose days are published; default: broker.cert_file.",
    )
    home_assistant: bool = Field(False, description="Announce the camera to Home Assistant, by MQTT discovery.")
    home_assistant_prefix: str = Field(
        "homeassistant",
        pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$",
        description="Discovery prefix of Home Assistant's MQTT integration.",
    )

    @model_validator(mode="after")
    def _check_publish(self) -> "Status":
        if self.home_assistant and not self.publish:
            raise ValueError("home_assistant needs publish: set both, or neither")
        return self


class EdgeSettings(Program):
    """Contains the settings of ``face-app capture``, ``send`` and the other commands of the edge."""

    edge: Annotated[Name, AfterValidator(_not_reserved)] = Field(
        default_factory=_this_host, description="Name of this box; the CN of its certificate."
    )
    camera: Camera = Camera()
    source_broker: Identity = Identity()
    zones: Zones = Zones()
    gate: Gate = Gate()
    detector: Detector = Detector()
    shot: Shot = Shot()
    crop: Crop = Crop()
    outbox: OutboxFile = OutboxFile()
    sender: Sender = Sender()
    status: Status = Status()
    broker: Broker = Broker()
    metrics: Metrics = Metrics()
