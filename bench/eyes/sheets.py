"""Draws one picture per clip: a block of rows for the shots of each program."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from bench.eyes.truth import Clip
from bench.eyes.visits import Shot
from face_app.edge.image import Box

MOST = 40
"""Most shots of a program that are drawn; every n-th of them."""

_TILE, _CAPTION, _GAP, _HEAD, _COLUMNS = 120, 30, 6, 28, 10
_BACKGROUND, _INK, _WRONG = (24, 26, 30), (200, 204, 210), (255, 110, 90)


def draw(clip: Clip, shots: Mapping[str, Sequence[Shot]], sheet: Path) -> None:
    """Draw a clip's sheet.

    Args:
        clip: And its truth.
        shots: By program; their files still exist.
        sheet: The PNG to write.
    """
    blocks = {name: each[:: -(-len(each) // MOST) or 1] for name, each in shots.items()}
    heights = {name: _HEAD + -(-len(each) // _COLUMNS) * (_TILE + _CAPTION + _GAP) for name, each in blocks.items()}
    drawing = Image.new("RGB", (_COLUMNS * (_TILE + _GAP) + _GAP, sum(heights.values()) + _GAP), _BACKGROUND)
    top = 0
    for name, drawn in blocks.items():
        title = f"{clip.name}, {name}: {len(shots[name])} shots, {sum(shot.size for shot in shots[name]) / 1000:.1f} kB"
        title += f", {len(drawn)} drawn" if len(drawn) < len(shots[name]) else ""
        ImageDraw.Draw(drawing).text((_GAP, top + _GAP), title, _INK, font=ImageFont.load_default(16))
        for number, shot in enumerate(drawn):
            x = _GAP + number % _COLUMNS * (_TILE + _GAP)
            _tile(drawing, clip, shot, x, top + _HEAD + number // _COLUMNS * (_TILE + _CAPTION + _GAP))
        top += heights[name]
    drawing.save(sheet, "PNG")


def _tile(drawing: Image.Image, clip: Clip, shot: Shot, x: int, y: int) -> None:
    with Image.open(shot.file) as image:
        tile = ImageOps.contain(image.convert("RGB"), (_TILE, _TILE), Image.Resampling.LANCZOS)
    drawing.paste(tile, (x + (_TILE - tile.width) // 2, y + (_TILE - tile.height) // 2))
    person = clip.person_at(shot.frame, shot.box)
    who = person or ("ignored" if clip.ignores(shot.frame, shot.box) else "WRONG")
    pen, ink = ImageDraw.Draw(drawing), _WRONG if who == "WRONG" else _INK
    pen.text((x + _TILE // 2, y + _TILE + 2), f"frame {shot.frame} {shot.caption}", ink, anchor="ma")
    pen.text((x + _TILE // 2, y + _TILE + 14), who[-20:], ink, anchor="ma")


def draw_boxes(boxes: Sequence[tuple[Path, Box]], sheet: Path) -> None:
    """Draw boxes of photos, each with its surroundings; nothing if there is none."""
    if not boxes:
        return
    rows = -(-len(boxes) // _COLUMNS)
    drawing = Image.new("RGB", (_COLUMNS * (_TILE + _GAP) + _GAP, _GAP + rows * (_TILE + _CAPTION)), _BACKGROUND)
    for number, (file, (x1, y1, x2, y2)) in enumerate(boxes):
        side = max(x2 - x1, y2 - y1) / 2
        with Image.open(file) as photo:
            part = photo.convert("RGB").crop((int(x1 - side), int(y1 - side), int(x2 + side), int(y2 + side)))
        tile = ImageOps.contain(part, (_TILE, _TILE))
        x, y = _GAP + number % _COLUMNS * (_TILE + _GAP), _GAP + number // _COLUMNS * (_TILE + _CAPTION)
        drawing.paste(tile, (x, y))
        ImageDraw.Draw(drawing).text((x, y + _TILE + 2), file.stem[-18:], _INK)
    drawing.save(sheet, "PNG")
