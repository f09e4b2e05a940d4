"""Provides the stop event of live sources."""

import threading

import pytest


@pytest.fixture
def stop():
    """Return the event that ends a source; it is set after the test, so that no reader outlives it."""
    event = threading.Event()
    yield event
    event.set()
