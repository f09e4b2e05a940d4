"""Set an event when SIGTERM or SIGINT arrives."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that the first SIGTERM or SIGINT sets. A second signal of either kind kills the process at once.

    A thread sets the event: it reads the pipe to which Python's C-level handler writes. A Python handler runs between
    two bytecodes of the main thread, so setting the event there could deadlock on a lock of that thread.
    """
    stop = threading.Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def watch() -> None:
        if os.read(reader, 1):  # empty if the pipe was closed
            stop.set()

    def handle(_number: int, _frame: FrameType | None) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    watcher.start()
    handlers_before = {number: signal.signal(number, handle) for number in STOP_SIGNALS}
    wakeup_fd_before = signal.set_wakeup_fd(writer)
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(wakeup_fd_before)
        for number, handler in handlers_before.items():
            signal.signal(number, handler)
        os.close(writer)
        watcher.join()
        os.close(reader)
