"""What the tests of live sources share."""

import threading

import pytest


@pytest.fixture
def stop():
    """Ends a source; set at the test's end, so that no reader outlives it."""
    event = threading.Event()
    yield event
    event.set()
