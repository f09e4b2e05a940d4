"""Settings of the edge."""

import re
import socket
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from face_app.common.settings.program import Program
from face_app.common.settings.section import Broker, Metrics, Name, Seconds, Section
from face_app.common.settings.vision import Camera, Crop, Detector, Gate, Shot, Zones


def _this_host() -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname().split(".")[0]).strip("-_")[:63] or "edge"


class OutboxFile(Section):
    """Where faces wait until the cloud has them."""

    path: Path = Field(
        Path("~/.local/state/face-app/outbox.db"), description="SQLite file on a disk that keeps its promises."
    )
    max_bytes: int = Field(10_000_000_000, ge=1_000_000, description="Most bytes that faces may take while they wait.")
    when_full: Literal["stop", "drop-oldest", "drop-lowest-score"] = Field(
        "stop", description="stop: take no frame until there is room; or give up faces, each counted."
    )
    late_after: Seconds = Field(
        300, description="Not ready when a face has waited so long, seconds, and none was stored meanwhile."
    )
    ledger_days: float = Field(
        30, gt=0, description="Days that the row of a stored face, without its pixels, is kept for the audit."
    )


class Sender(Section):
    """How waiting faces go out."""

    link: Literal["direct", "bridged"] = Field(
        "direct", description="bridged: a forwarder tells whether the cloud is reachable; direct: no forwarder."
    )
    window: int = Field(500, ge=2, le=10000, description="Most messages on their way without a receipt.")
    live_share: float = Field(
        0.5, gt=0, lt=1, description="Part of the window for the newest faces while a backlog drains beside them."
    )
    resend_after: Seconds = Field(5, description="Least seconds without a receipt until a face is sent again.")
    resend_cap: Seconds = Field(300, description="Most seconds between two attempts for one face.")


class Status(Section):
    """Who is told how a camera is."""

    publish: bool = Field(True, description="Keep the camera's state at the broker, on status/<edge>/<camera>.")
    home_assistant: bool = Field(False, description="Announce the camera to Home Assistant, by MQTT discovery.")
    home_assistant_prefix: str = Field(
        "homeassistant",
        pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$",
        description="Its discovery prefix, as set in its MQTT integration.",
    )

    @model_validator(mode="after")
    def _state_to_show(self) -> "Status":
        if self.home_assistant and not self.publish:
            raise ValueError("home_assistant shows what publish tells: set both, or neither")
        return self


class EdgeSettings(Program):
    """Settings of ``face-app capture`` and ``face-app send``."""

    edge: Name = Field(default_factory=_this_host, description="Name of this box; the CN of its certificate.")
    camera: Camera = Camera()
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
