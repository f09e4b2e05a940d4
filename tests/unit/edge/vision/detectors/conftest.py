"""Provides the real weights of YuNet."""

import importlib.util

import pytest

from face_app.edge.vision.detectors.model import PACKAGE, read_model


@pytest.fixture(scope="session")
def weights() -> bytes:
    if not importlib.util.find_spec(PACKAGE):
        pytest.skip("the package with YuNet's weights is not installed")
    return read_model(None)
