"""Configure logging, and mask secrets in every line."""

import logging
import sys
from collections.abc import Iterable

MASK = "***"
MIN_SECRET = 4
"""Minimum length of a secret that is masked, characters: a shorter one is part of ordinary words and numbers."""

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
