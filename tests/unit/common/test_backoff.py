"""Pauses double up to their limit."""

from itertools import islice

import pytest

from face_app.common.backoff import pauses


@pytest.mark.parametrize(("most", "first"), [(30, [1, 2, 4, 8, 16, 30, 30]), (0.1, [0.1] * 3), (3, [1, 2, 3, 3])])
def test_pauses(most, first):
    assert list(islice(pauses(most), len(first))) == first
