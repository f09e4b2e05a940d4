"""Every setting of both programs, typed, with its default and its range.

A setting comes, first match wins, from the command line, from ``FACE_APP_...`` in the environment
(``FACE_APP_BROKER__HOST``), from the TOML file that ``--config`` or ``FACE_APP_CONFIG`` names, or from here.
"""

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import (
    SettingsError as SourceSettingsError,
)

from face_app.errors import SettingsError
from face_app.wire import NAME

Name = Annotated[str, Field(pattern=rf"^{NAME}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
LogLevel = Literal["debug", "info", "warning", "error"]

PREFIX = "FACE_APP_"
CONFIG_VARIABLE = "FACE_APP_CONFIG"
OTHER_VARIABLES = {CONFIG_VARIABLE, "FACE_APP_EXTRA_CA"}
"""Names in the environment that are no settings; the second one is the playbooks'."""


def _this_host() -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname().split(".")[0]).strip("-_")[:63] or "edge"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Broker(_Section):
    """How to reach the broker. A password is read from a file, never from a setting."""

    host: str = Field("localhost", min_length=1, description="Name or address of the broker.")
    port: Port = Field(1883, description="1883 in clear text, 8883 with TLS.")
    keepalive: int = Field(15, ge=5, le=3600, description="Seconds; decides how soon a dead link is noticed.")
    username: str | None = Field(None, description="User name, where the broker asks for one.")
    password_file: Path | None = Field(None, description="File whose first line is the password.")
    ca_file: Path | None = Field(None, description="Trust this CA; turns TLS on.")
    cert_file: Path | None = Field(None, description="Our certificate.")
    key_file: Path | None = Field(None, description="Our private key.")

    @model_validator(mode="after")
    def _whole_identity(self) -> "Broker":
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("cert_file and key_file belong together: set both or neither")
        if self.cert_file and not self.ca_file:
            raise ValueError("cert_file without ca_file: set ca_file to the CA of the broker")
        if self.password_file and not self.username:
            raise ValueError("password_file without username: set username")
        return self


class Metrics(_Section):
    """Where a program tells how it is: /metrics for Prometheus, /ready for the health check."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Port | None = Field(None, description="Port to listen on; unset: no listener.")


class Camera(_Section):
    """Where frames come from."""

    name: Name = Field("camera", description="Last level of the topic, part of the object's key.")
    source: str | None = Field(
        None, description="FILE, DIR, /dev/videoN, rtsp://..., http://..., csi://N or gst:PIPELINE."
    )
    width: int | None = Field(None, ge=16, le=16384, description="Ask a camera for it; unset: /dev 640, csi 1280.")
    height: int | None = Field(None, ge=16, le=16384, description="Ask a camera for it; unset: /dev 480, csi 720.")
    fps: float | None = Field(None, ge=1, le=1000, description="Ask a /dev or csi camera for so many frames a second.")
    pixel_format: Literal["mjpg", "yuyv"] | None = Field(None, description="Ask a /dev camera for it.")
    decoder: Literal["ffmpeg", "nvidia"] = Field(
        "ffmpeg", description="nvidia: a Jetson's own decoder for rtsp, and for /dev with pixel_format mjpg."
    )
    argus_restart: Path | None = Field(
        None, description="File that is made to ask the host for a restart of nvargus-daemon; unset: only logged."
    )
    loop: bool = Field(False, description="Start a file or folder again at its end.")
    pace: Literal["source", "fast"] = Field(
        "source", description="Play a file at its own rate, as a camera would, or as fast as it can be read."
    )
    stop_after: int | None = Field(None, ge=1, description="Stop after this many captured faces.")
    read_timeout: Seconds = Field(10, description="Seconds without a frame until a live source is reopened.")
    reopen_max: Seconds = Field(30, description="Longest pause, seconds, between attempts to reopen a source.")

    @model_validator(mode="after")
    def _whole_size(self) -> "Camera":
        if bool(self.width) != bool(self.height):
            raise ValueError("width and height belong together: set both or neither")
        return self


class Detector(_Section):
    """How faces are found."""

    name: Literal["yunet", "haar"] = Field("yunet", description="yunet, or haar as in the write-up (1.3/5).")
    engine: Literal["auto", "onnxruntime", "opencv"] = Field(
        "auto", description="What runs yunet; auto: onnxruntime where it is installed, for half the CPU."
    )
    model: Path | None = Field(None, description="A YuNet ONNX file of known SHA-256; unset: the pinned one.")
    score: float = Field(
        0.8, ge=0, le=1, description="Least confidence that begins a visit; lower: more, and wrong ones (yunet)."
    )
    keep: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Least confidence that continues one, if below score; lower: fewer fall apart (yunet).",
    )
    width: int = Field(640, ge=64, le=4096, description="Pixels that the longer side of a frame is scaled to (yunet).")
    min_face: int = Field(16, ge=8, description="Least width of a face, pixels of the frame.")


Polygon = Annotated[list[tuple[Share, Share]], Field(min_length=3)]


class Zones(_Section):
    """Parts of the frame: polygons of x, y as parts of its width and height, from 0, 0 top left to 1, 1."""

    detect: list[Polygon] = Field([], description="Only faces whose centre lies in one of these; none: everywhere.")
    privacy: list[Polygon] = Field([], description="Blacked out before anything else sees the frame.")


class Gate(_Section):
    """When a frame is worth a look."""

    motion: bool = Field(True, description="Look for faces only while something moves, and at times of recheck.")
    area: float = Field(0.002, gt=0, lt=1, description="Part of the frame that must change to count as motion.")
    recheck: Seconds = Field(5, description="Seconds without motion until a frame is looked at all the same.")
    rate: float = Field(8, ge=1, le=60, description="Most looks for faces a second; halved when there is little news.")
    cpu: float = Field(0.5, gt=0, le=1, description="Most of one core that looks may take; they become fewer instead.")


class Shot(_Section):
    """Which pictures of a visit are kept."""

    first_within: float = Field(
        0.7, gt=0, le=3, description="Seconds of a visit until its first acceptable shot leaves."
    )
    acceptable: Share = Field(
        0.15, description="Least quality of a shot that leaves so soon; worse ones wait for better."
    )
    least: Share = Field(0.03, description="Least quality of a shot that is kept at all; 0 keeps the backs of heads.")
    better_by: Share = Field(0.1, description="How much more quality a later shot must have to be kept too.")
    most: int = Field(3, ge=1, le=100, description="Most shots of one visit.")


class Crop(_Section):
    """How a face is cut out and encoded."""

    margin: float = Field(0.25, ge=0, le=2, description="Added on each side, as a part of the box.")
    longest: int = Field(320, ge=32, le=8192, description="Longest side, pixels; larger crops are scaled down to it.")
    format: Literal["jpeg", "png"] = Field("jpeg", description="Encoding of the crop.")
    quality: int = Field(90, ge=1, le=100, description="JPEG quality.")


class OutboxFile(_Section):
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


class Sender(_Section):
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


class Status(_Section):
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


Model = TypeVar("Model", bound=BaseSettings)


class _Program(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    log: LogLevel = Field("info", description="Least severity that is logged.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, then environment, then TOML file."""
        file = os.environ.get(CONFIG_VARIABLE)
        toml = TomlConfigSettingsSource(settings_cls, Path(file)) if file else None
        return (init_settings, env_settings) + ((toml,) if toml else ())


class EdgeSettings(_Program):
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


class Store(_Section):
    """Where faces are kept."""

    kind: Literal["mount", "s3", "directory"] = Field(
        "directory", description="mount: s3fs, confirmed through the S3 API; s3: S3 API; directory: a plain folder."
    )
    path: Path | None = Field(None, description="The mount or the folder.")
    bucket: str = Field("face-app", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="Bucket name.")
    endpoint: str | None = Field(None, pattern=r"^https?://", description="S3 address; unset: AWS.")
    public_endpoint: str | None = Field(
        None, pattern=r"^https?://", description="S3 address in URLs made for people; unset: endpoint."
    )
    region: str = Field("us-east-1", description="S3 region.")
    credentials_file: Path | None = Field(None, description="File with ACCESS_KEY:SECRET_KEY, as s3fs reads it.")

    @model_validator(mode="after")
    def _whole_store(self) -> "Store":
        if self.kind != "s3" and not self.path:
            raise ValueError(f"path is missing: store kind {self.kind!r} needs the folder to write to")
        if self.kind != "directory" and not self.credentials_file:
            raise ValueError(f"credentials_file is missing: store kind {self.kind!r} needs ACCESS_KEY:SECRET_KEY")
        return self


class CloudSettings(_Program):
    """Settings of ``face-app subscribe`` and ``face-app bucket``."""

    subscriber: Name = Field("subscriber-1", description="Name of this subscriber; the CN of its certificate.")
    group: Name = Field("face-app", description="Subscribers of one group share the messages.")
    workers: int = Field(32, ge=1, le=64, description="Faces stored side by side.")
    receive_maximum: int = Field(200, ge=1, le=65535, description="Most messages the broker hands over unacked.")
    max_bytes: int = Field(20_000_000, ge=1, description="Refuse larger messages.")
    max_pixels: int = Field(50_000_000, ge=1, description="Refuse larger images before they are decoded.")
    store: Store
    broker: Broker = Broker()
    metrics: Metrics = Metrics()


class HealthSettings(_Program):
    """The part of either program's settings that ``face-app health`` needs."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="ignore", frozen=True)

    metrics: Metrics = Metrics()


def load(model: type[Model], config: Path | None, overrides: Mapping[str, Any]) -> Model:
    """Read the settings of one program.

    Args:
        model: Which program.
        config: TOML file; None: the one in ``FACE_APP_CONFIG``, if any.
        overrides: Settings by dotted name, such as ``broker.host``; None values are left out.

    Raises:
        SettingsError: One line that names the setting, its value and what is allowed.
    """
    if config:
        os.environ[CONFIG_VARIABLE] = str(config)
    file = os.environ.get(CONFIG_VARIABLE)
    if file and not Path(file).is_file():
        raise SettingsError(f"{file}: no such settings file; change --config or {CONFIG_VARIABLE}")
    _refuse_unknown_variables()
    try:
        return model(**_nested(overrides))
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(each) for each in error.errors())) from error
    except (SourceSettingsError, ValueError, OSError, RecursionError) as error:
        raise SettingsError(f"{file or 'environment'}: {error}") from error


def _refuse_unknown_variables() -> None:
    """Refuse names in the environment that no program has: pydantic refuses such names in a file only.

    One environment may serve both programs, so what the other one has is let through.
    """
    known = {name for model in (EdgeSettings, CloudSettings) for name in model.model_fields}
    for variable in sorted(os.environ.keys() - OTHER_VARIABLES):
        if variable.upper().startswith(PREFIX):
            name = variable[len(PREFIX) :].lower()
            if name.partition("__")[0] not in known:
                raise SettingsError(f"{variable}: unknown setting; remove it or correct its name")


def _nested(overrides: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for dotted, value in overrides.items():
        if value is None:
            continue
        *sections, leaf = dotted.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[leaf] = value
    return tree


def _explain(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"]) or "settings"
    name = name if name.isprintable() else repr(name)  # a quoted name in TOML may hold a line break
    if error["type"] == "extra_forbidden":
        return f"{name}: unknown setting; remove it or correct its name"
    if error["type"] == "missing":
        return f"{name}: not set"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}: {message}" if isinstance(error["input"], dict) else f"{name} = {error['input']!r}: {message}"
