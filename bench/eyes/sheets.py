"""A picture a clip: what the write-up's way would send of it, beside what ours does."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from bench.eyes.visits import Seen, Shot

MOST = 60
"""Crops of the write-up's way that are drawn; every n-th of them."""

_TILE, _CAPTION, _GAP, _HEAD, _COLUMNS = 96, 18, 6, 34, 10
_PAPER, _INK = (24, 26, 30), (200, 204, 210)
_HALF = _COLUMNS * (_TILE + _GAP) + _GAP


def draw(seen: Seen, sheet: Path) -> None:
    """Draw a clip's sheet.

    Args:
        seen: The shots of both ways; their files are still there.
        sheet: The PNG to write.
    """
    sample = seen.seed[:: -(-len(seen.seed) // MOST) or 1]
    rows = max(1, *(-(-len(shots) // _COLUMNS) for shots in (sample, seen.ours)))
    paper = Image.new("RGB", (2 * _HALF + 3 * _GAP, _HEAD + rows * (_TILE + _CAPTION + _GAP)), _PAPER)
    name, drawn = seen.clip.file.name, f", {len(sample)} drawn" if len(sample) < len(seen.seed) else ""
    _half(paper, 0, f"{name}, the write-up's way: {len(seen.seed)} crops{drawn}, {_kilobytes(seen.seed)}", sample)
    _half(paper, _HALF + 3 * _GAP, f"ours: {len(seen.ours)} shots, {_kilobytes(seen.ours)}", seen.ours)
    paper.save(sheet, "PNG")


def _kilobytes(shots: Sequence[Shot]) -> str:
    return f"{sum(shot.size for shot in shots) / 1000:.1f} kB"


def _half(paper: Image.Image, left: int, title: str, shots: Sequence[Shot]) -> None:
    pen = ImageDraw.Draw(paper)
    pen.text((left + _GAP, _GAP), title, _INK, font=ImageFont.load_default(16))
    for number, shot in enumerate(shots):
        x = left + _GAP + number % _COLUMNS * (_TILE + _GAP)
        y = _HEAD + number // _COLUMNS * (_TILE + _CAPTION + _GAP)
        with Image.open(shot.file) as image:
            tile = ImageOps.contain(image.convert("RGB"), (_TILE, _TILE), Image.Resampling.LANCZOS)
        paper.paste(tile, (x + (_TILE - tile.width) // 2, y + (_TILE - tile.height) // 2))
        pen.text((x + _TILE // 2, y + _TILE + 2), shot.caption or f"frame {shot.frame}", _INK, anchor="ma")
