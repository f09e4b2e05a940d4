"""Run `face-app detect`: detect faces in photos, to tune the settings of the detector."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from face_app.common.errors import SettingsError, SourceError
from face_app.common.settings import EdgeSettings
from face_app.edge.image import Box, Image, set_up_opencv
from face_app.edge.sources.clips import PictureClip
from face_app.edge.sources.files import PICTURES
from face_app.edge.sources.frame_converter import FrameConverter
from face_app.edge.vision.detectors.detection import Detection
from face_app.edge.vision.detectors.load import load_detector
from face_app.edge.vision.scan import Scan

log = logging.getLogger(__name__)

GREEN = (80, 220, 60)
"""Colour (BGR) of a face that can start a visit."""
RED = (60, 60, 230)
"""Colour (BGR) of a face that can only continue a visit."""


@dataclass(frozen=True)
class FoundFace:
    """Describes one face as plain JSON values.

    Attributes:
        box: x1, y1, x2, y2 in pixels of the photo.
        score: The detector's confidence, 0 to 1.
        landmarks: Right eye, left eye, nose, right and left mouth corner as x, y; or empty.
    """

    box: tuple[float, ...]
    score: float
    landmarks: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class PhotoFaces:
    """Describes the faces of one photo as plain JSON values.

    Attributes:
        file: Path as given by the caller.
        width: Width of the photo, pixels.
        height: Height of the photo, pixels.
        faces: Faces that can start a visit, highest score first.
    """

    file: str
    width: int
    height: int
    faces: list[FoundFace]


def run(settings: EdgeSettings, files: Sequence[Path], drawings: Path | None) -> Iterator[PhotoFaces]:
    """Detect faces in photos, one photo after the other.

    Args:
        settings: Settings of the edge; only those of the detector and `camera.rotate` are used.
        files: Photos. A photo that cannot be read is logged and skipped.
        drawings: Folder for copies with drawn boxes and landmarks; None: no copies.

    Raises:
        DetectorError: The detector cannot be loaded.
        SettingsError: A drawing cannot be written.
        SourceError: A photo could not be read; raised after the last photo.
    """
    set_up_opencv()
    scan = Scan(load_detector(settings.detector), settings.detector.score)
    unread = 0
    for number, file in enumerate(files):
        try:
            image = _read(file, settings.camera.rotate)
        except SourceError as error:
            log.warning("excluded: %s", error)
            unread += 1
            continue
        found = scan.detect_photo(image)
        confident = [_plain(each) for each in found if each.sure]
        height, width = image.shape[:2]
        if drawings:
            _draw(image, found, drawings / f"{number:04d}-{file.stem}.jpg")
        yield PhotoFaces(file=str(file), width=width, height=height, faces=confident)
    if unread:
        raise SourceError(f"{unread} of {len(files)} files could not be read; the lines above say why")


def _read(file: Path, rotate: int) -> Image:
    if file.suffix.lower() not in PICTURES:
        raise SourceError(f"{file}: no photo; give videos to `face-app capture --dry-run`")
    if not file.is_file():
        raise SourceError(f"{file}: no such file")
    image = FrameConverter(str(file), rotate).convert(PictureClip(file).retrieve())
    if image is None:
        raise SourceError(f"{file}: contains no picture of a supported pixel format")
    return image


def _plain(face: Detection) -> FoundFace:
    return FoundFace(
        tuple(round(edge, 1) for edge in face.box),
        round(face.score, 4),
        tuple((round(x, 1), round(y, 1)) for x, y in face.landmarks),
    )


def _draw(image: Image, faces: Sequence[Detection], file: Path) -> None:
    for face in faces:
        colour = GREEN if face.sure else RED
        _draw_box(image, face.box, colour)
        for x, y in face.landmarks:
            cv2.circle(image, (round(x), round(y)), 2, colour, -1, cv2.LINE_AA)
        corner = (round(face.box[0]), max(10, round(face.box[1]) - 4))
        cv2.putText(image, f"{face.score:.2f}", corner, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(cv2.imencode(".jpg", image)[1].tobytes())
    except OSError as error:
        raise SettingsError(f"--draw {file.parent}: {error.strerror}; name a folder that can be written") from error


def _draw_box(image: Image, box: Box, colour: tuple[int, int, int]) -> None:
    x1, y1, x2, y2 = (round(edge) for edge in box)
    cv2.rectangle(image, (x1, y1), (x2, y2), colour, 2)
