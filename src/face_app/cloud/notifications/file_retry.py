"""Repeat work in the file of notifications while the file fails, as on a full disk: no thread may end because of it."""

import logging
import sqlite3
import threading
from collections.abc import Callable
from typing import TypeVar

from face_app.common.backoff import MAX_PAUSE, pauses
from face_app.common.log import RateLimitedLog

log = logging.getLogger(__name__)
rare_log = RateLimitedLog(log)

Result = TypeVar("Result")


class FileRetry:
    """Runs the work of one thread, again and again until the file takes it.

    Attributes:
        problem: Why the latest attempt failed; empty after a success. After the end of the thread it remains.
    """

    def __init__(self, label: str, effect: str, stopped: threading.Event) -> None:
        """Prepare the attempts.

        Args:
            label: Names the thread in the log.
            effect: What a failure causes; `problem` begins with it.
            stopped: Set when the program stops.
        """
        self.problem = ""
        self._label = label
        self._effect = effect
        self._stopped = stopped

    def run(self, work: Callable[[], Result]) -> Result:
        """Do the work; after a failure of the file, do it again after 1, 2, 4 ... 30 s.

        Raises:
            sqlite3.Error: The file is closed, or the program stops.
        """
        waits = pauses(MAX_PAUSE)
        while True:
            try:
                result = work()
            except sqlite3.Error as error:  # noqa: PERF203 - each attempt may fail
                self._failed(error)
                closed = isinstance(error, sqlite3.ProgrammingError)
                if closed or self._stopped.wait(next(waits)):
                    raise
            else:
                self._succeeded()
                return result

    def _failed(self, error: sqlite3.Error) -> None:
        if self._stopped.is_set():
            return
        # A restart replaces a damaged file. A full or slow disk recovers by itself, or with more space.
        waits = isinstance(error, sqlite3.OperationalError)
        cure = "trying again; if this lasts, free space or restart the gallery" if waits else "restart the gallery"
        self.problem = f"{self._effect}: {error}; {cure}"
        rare_log.warning("%s: %s", self._label, self.problem, kind=f"{self._label}: {self._effect}")

    def _succeeded(self) -> None:
        if self.problem:
            log.info("%s: the file of notifications can be used again", self._label)
        self.problem = ""
