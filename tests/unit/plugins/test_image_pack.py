"""The layers of an image that another host has are the first ones, in the same order."""

import pytest

from support.plugin import load_plugin

MODULE = load_plugin("modules/image_pack.py")


@pytest.mark.parametrize(
    ("present", "count"),
    [
        ([], 0),
        ([["a"]], 1),
        ([["x"], ["a", "b", "x"], ["a"]], 2),
        # The same layers upon others are other layers to an engine.
        ([["x", "a", "b"]], 0),
        ([["a", "b", "c", "d"]], 3),
    ],
)
def test_counts_the_first_layers_that_are_present(present, count):
    assert MODULE.common_layers(["a", "b", "c"], present) == count
