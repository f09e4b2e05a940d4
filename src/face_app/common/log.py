"""Configure logging, mask secrets in every line, and limit repeated warnings."""

import logging
import sys
import time
from collections.abc import Iterable

MASK = "***"
MIN_SECRET = 4
"""Minimum length of a secret that is masked, characters: a shorter one is part of ordinary words and numbers."""
WARN_SECONDS = 60.0
"""Seconds between two equal warnings of a `RateLimitedLog`."""

_secrets: set[str] = set()


def hide_secrets(values: Iterable[str]) -> None:
    """Mask these values in all later log lines, also in messages and tracebacks of libraries."""
    _secrets.update(value for value in values if len(value) >= MIN_SECRET)


def mask(text: str) -> str:
    """Replace every hidden value in a text."""
    for secret in sorted(_secrets, key=len, reverse=True):  # a long one may contain a short one
        text = text.replace(secret, MASK)
    return text


class MaskingFormatter(logging.Formatter):
    """Formats records without the hidden values."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, with its traceback."""
        return mask(super().format(record))


def log_to_stderr(level: str) -> None:
    """Write log messages of at least this severity to standard error; standard output is for results."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MaskingFormatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class RateLimitedLog:
    """Logs repeated warnings, each text at most once in `WARN_SECONDS`."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._logged_at: dict[str, float] = {}

    def warning(self, text: str, *values: object) -> None:
        """Log a warning, unless one with the same text was logged recently.

        Args:
            text: Text with placeholders; it identifies the warning.
            values: Values of the placeholders.
        """
        now = time.monotonic()
        if now - self._logged_at.get(text, -WARN_SECONDS) >= WARN_SECONDS:
            self._logged_at[text] = now
            self._logger.warning(text, *values)
