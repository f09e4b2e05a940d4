"""Run `face-app`, also as `python -m face_app`."""

import signal
import sys
from types import FrameType


def main() -> None:
    """Handle SIGTERM, then import the rest.

    The import takes a second, and process 1 of a container ignores SIGTERM without a handler.
    """
    signal.signal(signal.SIGTERM, _end)
    from face_app.cli.app import main as run  # noqa: PLC0415

    run()


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
