"""Probe a mount that may hang."""

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

OK = "ok"

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

    A thread in a hung file system cannot be cancelled and blocks the exit. One child serves the whole run. A child
    that is forked while a worker writes a file would inherit that file, and close it: s3fs would then upload a partial
    face, or hang the child too.
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
            close_fds=False,  # all descriptors are close-on-exec; closing them here could block
        )

    def check(self) -> None:
        """Check that the mount answers, or answered less than `FRESH_SECONDS` ago.

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
            # After a timeout the request stays open, and the late answer is used.
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
