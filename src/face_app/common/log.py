"""Configure logging."""

import logging
import sys


def log_to_stderr(level: str) -> None:
    """Write log messages of at least this severity to standard error; standard output is for results."""
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(message)s", force=True
    )
