"""Configure logging, mask secrets in every line, and limit repeated warnings."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable

MASK = "***"
MIN_SECRET = 4
"""Minimum length of a secret that is masked, characters: a shorter one is part of ordinary words and numbers."""
WARN_SECONDS = 60.0
"""Minimum seconds between two warnings of one kind of a `RateLimitedLog`."""
MAX_KINDS = 1000
"""Maximum number of kinds in memory, because a peer may cause warnings; beyond it, all begin again."""

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
    """Logs the first warning of each kind, then one a minute with the number of those in between. Thread-safe."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to `logger`; `clock` returns seconds."""
        self._logger = logger
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[str, tuple[float, int]] = {}

    def warning(self, text: str, *values: object, kind: str | None = None) -> None:
        """Log a warning, or count it.

        Args:
            text: Text with placeholders.
            values: Values of the placeholders.
            kind: Kind of the warning; None: the text.
        """
        kind = text if kind is None else kind
        with self._lock:
            now = self._clock()
            logged, skipped = self._kinds.get(kind, (-WARN_SECONDS, 0))
            if now - logged < WARN_SECONDS:
                self._kinds[kind] = (logged, skipped + 1)
                return
            if len(self._kinds) >= MAX_KINDS:
                self._kinds.clear()
            self._kinds[kind] = (now, 0)
        more = f" ({skipped} more of this kind since the last line)" if skipped else ""
        self._logger.warning(text + more, *values)
