"""Define the settings of `face-app capture`'s vision: source, detector, zones, gate, shots, crops."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from face_app.common.settings.section import Name, Seconds, Section, Share


class Camera(Section):
    """Configures the source of frames."""

    name: Name = Field("camera", description="Last level of the topic, part of the object's key.")
    source: str | None = Field(
        None, description="FILE, DIR, /dev/videoN, rtsp://..., http://..., csi://N, gst:PIPELINE or mqtt://HOST/TOPIC."
    )
    width: int | None = Field(
        None, ge=16, le=16384, description="Width to request from a camera, pixels; unset: /dev 640, csi 1280."
    )
    height: int | None = Field(
        None, ge=16, le=16384, description="Height to request from a camera, pixels; unset: /dev 480, csi 720."
    )
    fps: float | None = Field(
        None, ge=1, le=1000, description="Frames per second to request from a /dev or csi camera."
    )
    pixel_format: Literal["mjpg", "yuyv"] | None = Field(
        None, description="Pixel format to request from a /dev camera."
    )
    rotate: int = Field(
        0,
        ge=0,
        le=270,
        multiple_of=90,
        description="Degrees by which a picture is turned clockwise to be upright; zones are those of the result.",
    )
    decoder: Literal["ffmpeg", "nvidia"] = Field(
        "ffmpeg", description="nvidia: the decoder of a Jetson, for rtsp, and for /dev with pixel_format mjpg."
    )
    argus_restart: Path | None = Field(
        None, description="File that is created to request a restart of nvargus-daemon from the host; unset: only log."
    )
    loop: bool = Field(False, description="Restart a file or folder at its end.")
    pace: Literal["source", "fast"] = Field(
        "source", description="source: play a file at its own rate, like a camera; fast: as fast as it can be read."
    )
    stop_after: int | None = Field(None, ge=1, description="Stop after this many captured faces.")
    read_timeout: Seconds = Field(10, description="Seconds without a frame until a live source is reopened.")
    reopen_max: Seconds = Field(30, description="Maximum seconds between two attempts to reopen a source.")

    @model_validator(mode="after")
    def _require_both_sides(self) -> "Camera":
        if bool(self.width) != bool(self.height):
            raise ValueError("width and height belong together: set both or neither")
        return self


class Detector(Section):
    """Configures the detector and its thresholds."""

    name: Literal["yunet", "haar"] = Field(
        "yunet", description="yunet, or haar as in the original homework (scale 1.3, 5 neighbours)."
    )
    engine: Literal["auto", "onnxruntime", "opencv"] = Field(
        "auto", description="Engine of yunet; auto: onnxruntime if installed, at half the CPU, else opencv."
    )
    model: Path | None = Field(None, description="YuNet ONNX file of a known SHA-256; unset: the pinned file.")
    score: float = Field(
        0.8,
        ge=0,
        le=1,
        description="Minimum confidence that starts a visit; lower finds more, also false ones (yunet).",
    )
    keep: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Minimum confidence that continues a visit, if below score; lower splits fewer visits (yunet).",
    )
    width: int = Field(
        640, ge=64, le=4096, description="Length to which a frame's longer side is scaled, pixels (yunet)."
    )
    min_face: int = Field(16, ge=8, description="Minimum width of a face, pixels of the frame.")


Polygon = Annotated[list[tuple[Share, Share]], Field(min_length=3)]


class Zones(Section):
    """Configures polygons of x, y as shares of width and height, from 0, 0 top left to 1, 1 bottom right."""

    detect: list[Polygon] = Field([], description="Count only faces whose centre lies in a polygon; empty: all faces.")
    privacy: list[Polygon] = Field([], description="Polygons that are blackened before any other stage.")


class Gate(Section):
    """Configures on which frames the detector runs."""

    motion: bool = Field(True, description="Run the detector only during motion, and every recheck seconds.")
    area: float = Field(0.002, gt=0, lt=1, description="Share of the frame that must change to count as motion.")
    recheck: Seconds = Field(5, description="Seconds without motion until the detector runs anyway.")
    rate: float = Field(
        8,
        ge=1,
        le=60,
        description="Maximum detections per second; halved while no face needs a shot, if frames are not longer than "
        "1.25 times detector.width.",
    )
    cpu: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Maximum share of one core for detections; above it, they run less often, at least once a second.",
    )


class Shot(Section):
    """Configures which pictures of a visit become shots."""

    first_within: float = Field(
        0.7, gt=0, le=3, description="Seconds of a visit until its first acceptable shot is selected."
    )
    acceptable: Share = Field(
        0.2,
        description="Minimum quality of a shot within first_within; a worse one waits up to 3 s for a better one.",
    )
    least: Share = Field(
        0.03,
        description="Minimum quality of a shot. If a visit has no better picture, a poorer one becomes a shot "
        "after 60 s or at its end.",
    )
    better_factor: float = Field(
        1.4, ge=1, le=100, description="Minimum ratio of the quality of a later shot to that of the shot before."
    )
    most: int = Field(3, ge=1, le=100, description="Maximum number of shots of one visit.")
    check: bool = Field(
        True, description="Check pictures that may become shots for open eyes and false faces, by the face mesh."
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_better_by(cls, values: object) -> object:
        if isinstance(values, dict) and "better_by" in values:
            raise ValueError("better_by was a difference and is a ratio now: set better_factor, by default 1.4")
        return values


class Crop(Section):
    """Configures how a face is cropped and encoded."""

    margin: float = Field(0.25, ge=0, le=2, description="Margin on each side, as a share of the box.")
    longest: int = Field(320, ge=32, le=8192, description="Longest side, pixels; larger crops are scaled down to it.")
    format: Literal["jpeg", "png"] = Field("jpeg", description="Encoding of the crop.")
    quality: int = Field(90, ge=1, le=100, description="JPEG quality.")
