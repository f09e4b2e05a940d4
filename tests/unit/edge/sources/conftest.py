"""Provides the stop event of live sources."""

import logging
import threading

import pytest


@pytest.fixture
def stop():
    """Return the event that ends a source; it is set after the test, so that no reader outlives it."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def stop_at(stop):
    """Return a function that sets the stop event once so many log lines contain a text."""
    handlers = []

    class Handler(logging.Handler):
        def __init__(self, text, count):
            super().__init__()
            self.text, self.missing = text, count

        def emit(self, record):
            self.missing -= self.text in record.getMessage()
            if self.missing <= 0:
                stop.set()

    def install(text, count=1):
        handlers.append(Handler(text, count))
        logging.getLogger().addHandler(handlers[-1])

    backstop = threading.Timer(90, stop.set)
    backstop.start()
    yield install
    backstop.cancel()
    for handler in handlers:
        logging.getLogger().removeHandler(handler)
