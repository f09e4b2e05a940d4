"""Draw many faces on one picture, each with time, camera, visit and quality from its metadata."""

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from face_app.common.errors import FaceAppError, MessageError
from face_app.common.metadata import read_image

_TILE = 160  # pixels, as the next two
_CAPTION = 30
_GAP = 8
_PAPER = (24, 26, 30)  # red, green, blue
_INK = (200, 204, 210)
_MAX_NAME = 24  # characters of a caption
_MAX_PIXELS = 50_000_000  # of one face image


def draw(faces: Sequence[Path], sheet: Path, *, columns: int = 8) -> None:
    """Draw a contact sheet.

    Args:
        faces: JPEG or PNG files; the caption of an image without metadata is its file name.
        sheet: The PNG to write.
        columns: Maximum number of tiles in a row.

    Raises:
        FaceAppError: The list is empty, or a file is not an image, not readable or not writable.
    """
    if not faces:
        raise FaceAppError("no faces to draw: name at least one file")
    columns = min(columns, len(faces))
    rows = math.ceil(len(faces) / columns)
    paper = Image.new("RGB", (columns * (_TILE + _GAP) + _GAP, rows * (_TILE + _CAPTION + _GAP) + _GAP), _PAPER)
    pen = ImageDraw.Draw(paper)
    for number, file in enumerate(faces):
        left = _GAP + number % columns * (_TILE + _GAP)
        top = _GAP + number // columns * (_TILE + _CAPTION + _GAP)
        try:
            with Image.open(file) as image:
                tile = ImageOps.contain(image.convert("RGB"), (_TILE, _TILE), Image.Resampling.LANCZOS)
            caption = _caption(file)
        except (OSError, MessageError) as error:
            raise FaceAppError(f"{file}: {error}") from error
        paper.paste(tile, (left + (_TILE - tile.width) // 2, top + (_TILE - tile.height) // 2))
        pen.multiline_text((left + _TILE // 2, top + _TILE + 3), caption, _INK, anchor="ma", align="center", spacing=2)
    try:
        paper.save(sheet, "PNG")
    except OSError as error:
        raise FaceAppError(f"{sheet}: {error}") from error


def _caption(file: Path) -> str:
    metadata = read_image(file.read_bytes(), max_pixels=_MAX_PIXELS).metadata
    if metadata is None:
        return file.name[:_MAX_NAME]
    return (
        f"{metadata.captured_at:%H:%M:%S}.{metadata.captured_at.microsecond // 100_000}  {metadata.camera[:12]}\n"
        + (f"{metadata.track} {metadata.why}  {metadata.shot_score:.2f}")
    )
