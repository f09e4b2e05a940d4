"""Draw many faces on one picture, each with time, camera, visit and quality from its metadata."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from face_app.common.errors import FaceAppError, MessageError
from face_app.common.metadata import read_image

_TILE, _CAPTION, _GAP = 160, 30, 8
_PAPER, _INK = (24, 26, 30), (200, 204, 210)


def draw(faces: Sequence[Path], sheet: Path, *, columns: int = 8) -> None:
    """Draw a contact sheet.

    Args:
        faces: JPEG or PNG files; the caption of a bare image is its file name.
        sheet: The PNG to write.
        columns: Most tiles in a row.

    Raises:
        FaceAppError: The list is empty, or a file is not an image, not readable or not writable.
    """
    if not faces:
        raise FaceAppError("no faces to draw: name at least one file")
    columns = min(columns, len(faces))
    rows = -(-len(faces) // columns)
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
    metadata = read_image(file.read_bytes(), max_pixels=50_000_000).metadata
    if metadata is None:
        return file.name[:24]
    return (
        f"{metadata.captured_at:%H:%M:%S}.{metadata.captured_at.microsecond // 100_000}  {metadata.camera[:12]}\n"
        + (f"{metadata.track} {metadata.why}  {metadata.shot_score:.2f}")
    )
