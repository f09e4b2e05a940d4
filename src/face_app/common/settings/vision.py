"""What `face-app capture` sees, and which faces of it are kept."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from face_app.common.settings.section import Name, Seconds, Section, Share


class Camera(Section):
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


class Detector(Section):
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


class Zones(Section):
    """Parts of the frame: polygons of x, y as parts of its width and height, from 0, 0 top left to 1, 1."""

    detect: list[Polygon] = Field([], description="Only faces whose centre lies in one of these; none: everywhere.")
    privacy: list[Polygon] = Field([], description="Blacked out before anything else sees the frame.")


class Gate(Section):
    """When a frame is worth a look."""

    motion: bool = Field(True, description="Look for faces only while something moves, and at times of recheck.")
    area: float = Field(0.002, gt=0, lt=1, description="Part of the frame that must change to count as motion.")
    recheck: Seconds = Field(5, description="Seconds without motion until a frame is looked at all the same.")
    rate: float = Field(8, ge=1, le=60, description="Most looks for faces a second; halved when there is little news.")
    cpu: float = Field(0.5, gt=0, le=1, description="Most of one core that looks may take; they become fewer instead.")


class Shot(Section):
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


class Crop(Section):
    """How a face is cut out and encoded."""

    margin: float = Field(0.25, ge=0, le=2, description="Added on each side, as a part of the box.")
    longest: int = Field(320, ge=32, le=8192, description="Longest side, pixels; larger crops are scaled down to it.")
    format: Literal["jpeg", "png"] = Field("jpeg", description="Encoding of the crop.")
    quality: int = Field(90, ge=1, le=100, description="JPEG quality.")
