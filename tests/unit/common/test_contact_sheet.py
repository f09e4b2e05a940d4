"""Many faces on one picture."""

import pytest
from PIL import Image

from face_app.common.contact_sheet import _CAPTION, _GAP, _PAPER, _TILE, draw
from face_app.common.errors import FaceAppError
from support.faces import drawn_face, picture


@pytest.fixture
def faces(tmp_path):
    """Two with metadata, one without, one wide."""
    files = [tmp_path / f"{name}.jpg" for name in "abcd"]
    for number, file in enumerate(files[:2], 1):
        file.write_bytes(drawn_face(number).payload)
    files[2].write_bytes(picture())
    Image.new("RGB", (400, 100), "red").save(files[3])
    return files


def tile(sheet, column, row):
    left, top = _GAP + column * (_TILE + _GAP), _GAP + row * (_TILE + _CAPTION + _GAP)
    return sheet.crop((left, top, left + _TILE, top + _TILE + _CAPTION))


def empty(image):
    return image.getextrema() == tuple((each, each) for each in _PAPER)


def test_rows_tiles_and_captions(faces, tmp_path):
    draw(faces, tmp_path / "sheet.png", columns=3)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.size == (3 * (_TILE + _GAP) + _GAP, 2 * (_TILE + _CAPTION + _GAP) + _GAP)
        tiles = [tile(sheet, column, row) for row in range(2) for column in range(3)]
    pictures = [each.crop((0, 0, _TILE, _TILE)) for each in tiles]
    captions = [each.crop((0, _TILE, _TILE, _TILE + _CAPTION)) for each in tiles]
    assert [empty(each) for each in pictures] == [False] * 4 + [True] * 2
    assert [empty(each) for each in captions] == [False] * 4 + [True] * 2
    assert captions[0].tobytes() != captions[1].tobytes(), "each has its own"
    red = pictures[3].getpixel((_TILE // 2, _TILE // 2))
    assert red[0] > 240
    assert max(red[1:]) < 20
    assert pictures[3].getpixel((_TILE // 2, 10)) == _PAPER, "a wide picture retains its proportions"


def test_no_wider_than_its_faces(faces, tmp_path):
    draw(faces[:1], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == _TILE + 2 * _GAP


def test_nothing_to_draw(tmp_path):
    with pytest.raises(FaceAppError, match="no faces to draw"):
        draw([], tmp_path / "sheet.png")


@pytest.mark.parametrize("content", [None, b"", b"no image"])
def test_a_file_that_is_no_image_is_named(faces, tmp_path, content):
    wrong = tmp_path / "wrong.jpg"
    if content is not None:
        wrong.write_bytes(content)
    with pytest.raises(FaceAppError, match=r"wrong\.jpg") as failed:
        draw([*faces, wrong], tmp_path / "sheet.png")
    assert "\n" not in str(failed.value)
    assert not (tmp_path / "sheet.png").exists()


def test_a_sheet_that_cannot_be_written_is_named(faces, tmp_path):
    with pytest.raises(FaceAppError, match="nowhere/sheet"):
        draw(faces, tmp_path / "nowhere" / "sheet.png")
