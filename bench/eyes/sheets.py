"""Draws one picture per clip: the crops of the homework beside the shots of face-app."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from bench.eyes.visits import Seen, Shot

MOST = 60
"""Most crops of the homework that are drawn; every n-th of them."""

_TILE, _CAPTION, _GAP, _HEAD, _COLUMNS = 96, 18, 6, 34, 10
_BACKGROUND, _INK = (24, 26, 30), (200, 204, 210)
_HALF = _COLUMNS * (_TILE + _GAP) + _GAP


def draw(seen: Seen, sheet: Path) -> None:
    """Draw a clip's sheet.

    Args:
        seen: The shots of both programs; their files still exist.
        sheet: The PNG to write.
    """
    sample = seen.homework[:: -(-len(seen.homework) // MOST) or 1]
    rows = max(1, *(-(-len(shots) // _COLUMNS) for shots in (sample, seen.face_app)))
    sheet_image = Image.new("RGB", (2 * _HALF + 3 * _GAP, _HEAD + rows * (_TILE + _CAPTION + _GAP)), _BACKGROUND)
    name, drawn = seen.clip.file.name, f", {len(sample)} drawn" if len(sample) < len(seen.homework) else ""
    _half(sheet_image, 0, f"{name}, homework: {len(seen.homework)} crops{drawn}, {_kilobytes(seen.homework)}", sample)
    _half(
        sheet_image,
        _HALF + 3 * _GAP,
        f"face-app: {len(seen.face_app)} shots, {_kilobytes(seen.face_app)}",
        seen.face_app,
    )
    sheet_image.save(sheet, "PNG")


def _kilobytes(shots: Sequence[Shot]) -> str:
    return f"{sum(shot.size for shot in shots) / 1000:.1f} kB"


def _half(sheet_image: Image.Image, left: int, title: str, shots: Sequence[Shot]) -> None:
    pen = ImageDraw.Draw(sheet_image)
    pen.text((left + _GAP, _GAP), title, _INK, font=ImageFont.load_default(16))
    for number, shot in enumerate(shots):
        x = left + _GAP + number % _COLUMNS * (_TILE + _GAP)
        y = _HEAD + number // _COLUMNS * (_TILE + _CAPTION + _GAP)
        with Image.open(shot.file) as image:
            tile = ImageOps.contain(image.convert("RGB"), (_TILE, _TILE), Image.Resampling.LANCZOS)
        sheet_image.paste(tile, (x + (_TILE - tile.width) // 2, y + (_TILE - tile.height) // 2))
        pen.text((x + _TILE // 2, y + _TILE + 2), shot.caption or f"frame {shot.frame}", _INK, anchor="ma")
