"""Labels move with the pictures of a stressed clip."""

import numpy as np
import pytest

from bench.eyes import clips, stress
from bench.eyes.truth import Clip

BOX = (60, 40, 100, 70)
SIZE = (200, 120)


@pytest.fixture
def image():
    picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    picture[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    return picture


@pytest.mark.parametrize("name", ["as it is", "on its side", "480p", "4K", "shake 12 px", "shake 36 px"])
def test_a_box_moves_with_its_picture(image, name):
    variant = stress.VARIANTS[name]
    changed = stress.changed(image, 3, variant, SIZE)
    rows, columns = np.nonzero(changed[..., 0] > 127)
    found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert found == pytest.approx(stress.moved(BOX, variant.move(3, SIZE)[0]), abs=max(1, changed.shape[0] / 100))


def test_a_slower_clip_shows_every_second_frame(image, tmp_path):
    clips.write(tmp_path / "clip.mp4", [image] * 20, 10)
    clip = Clip("clip", tmp_path / "clip.mp4", {}, frozenset(), {})
    file, frames, size = stress.make(clip, "5 fps", tmp_path)
    assert (frames, size) == (list(range(0, 20, 2)), SIZE)
    assert len(list(clips.frames(file))) == 10
