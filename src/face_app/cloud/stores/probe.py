"""Probe whether an s3fs mount answers, without hanging with it."""

import select
import subprocess
import sys
import threading
import time
from pathlib import Path

from face_app.common.errors import StoreError

TIMEOUT_SECONDS = 5.0
"""Maximum seconds for an answer. statvfs needs no S3 request, so a working s3fs answers within milliseconds."""

FRESH_SECONDS = 3.0
"""Seconds for which an answer stays valid."""

OK = "ok"  # the child prints it

_CHILD = """
import os, sys
for line in sys.stdin:
    try:
        os.statvfs(sys.argv[1])
        answer = "ok"
    except OSError as error:
        answer = error.strerror
    try:
        os.write(1, answer.encode() + b"\\n")
    except BrokenPipeError:
        break  # the parent has ended
"""


class Probe:
    """Probes a mount in a child process that can be abandoned.

    A thread in a hung file system cannot be cancelled and would block the exit, hence a process. The child starts
    before any worker writes and serves the whole run: a child forked later would inherit a file being written and
    close it, and s3fs would upload a partial face. It is started again only if it ended.
    """

    def __init__(self, path: Path) -> None:
        """Start the child for this path."""
        self._path = path
        self._lock = threading.Lock()
        self._pending = False
        self._answer = ""
        self._answered_at = -FRESH_SECONDS
        self._child = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", "-c", _CHILD, str(self._path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C must not reach the child
            close_fds=False,  # they close at exec anyway; closing them earlier in the child could block
        )

    def check(self) -> None:
        """Check the mount; an answer, good or bad, is reused for `FRESH_SECONDS`.

        Raises:
            StoreError: The mount answers with an error, or not within `TIMEOUT_SECONDS`.
        """
        with self._lock:
            if time.monotonic() - self._answered_at >= FRESH_SECONDS:
                self._answer = self._ask()
                self._answered_at = time.monotonic()
            if self._answer != OK:
                raise StoreError(f"mount {self._path}: {self._answer}; mount it again")

    def _ask(self) -> str:
        """Return `OK`, or the reason why the mount does not work."""
        if self._child.poll() is not None:
            self._child = self._start()
            self._pending = False
        requests, answers = self._child.stdin, self._child.stdout
        if requests is None or answers is None:
            return "its probe has no pipes"
        try:
            # After a timeout the request stays pending, and the late answer is used.
            if not self._pending:
                requests.write(b"\n")
                requests.flush()
                self._pending = True
            if not select.select([answers], [], [], TIMEOUT_SECONDS)[0]:
                return f"does not answer within {TIMEOUT_SECONDS:.0f} s"
            self._pending = False
            return answers.readline().decode().strip() or "its probe ended"
        except OSError as error:
            return f"its probe ended ({error.strerror})"
