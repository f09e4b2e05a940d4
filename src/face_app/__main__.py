"""Run the command line: the entry point of `face-app` and of `python -m face_app`."""

import signal
import sys
from types import FrameType


def main() -> None:
    """Handle SIGTERM, then import and run the command line.

    The import takes a second. Without a handler, process 1 of a container ignores SIGTERM.
    """
    signal.signal(signal.SIGTERM, _end)
    from face_app.cli.app import main as run  # noqa: PLC0415

    run()


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
