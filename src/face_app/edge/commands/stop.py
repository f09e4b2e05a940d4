"""How a program is asked to end: one event, set by SIGTERM or SIGINT."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Give an event that the first SIGTERM or SIGINT sets; the second one, of either, ends the process at once.

    The event is set by a thread that reads what Python's C-level handler writes into a pipe. A Python handler runs
    between two steps of the main thread: setting the event there could wait for a lock that the main thread holds.
    """
    stop = threading.Event()
    told, tell = os.pipe()
    os.set_blocking(tell, False)

    def watch() -> None:
        if os.read(told, 1):  # nothing is read when the pipe is closed
            stop.set()

    def handle(_number: int, _frame: FrameType | None) -> None:
        for number in STOPS:
            signal.signal(number, signal.SIG_DFL)

    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    watcher.start()
    before = {number: signal.signal(number, handle) for number in STOPS}
    before_fd = signal.set_wakeup_fd(tell)
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(before_fd)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(tell)
        watcher.join()
        os.close(told)
