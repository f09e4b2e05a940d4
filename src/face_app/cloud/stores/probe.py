"""A question to a mount that may never answer."""

import select
import subprocess
import sys
import threading
import time
from pathlib import Path

from face_app.common.errors import StoreError

DEADLINE = 5.0
"""Seconds a mount may take; statvfs does not touch S3, so a working s3fs answers within milliseconds."""

FRESH = 3.0
"""Seconds an answer is good for."""

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
        break  # who asked has ended meanwhile
"""


class Probe:
    """Asks a mount how it is, in a child that can be left behind.

    A thread that waits for a hanging file system cannot be cancelled, and keeps the program from ending. There is
    one child for the program's life: a child started while a worker has a file open would, by closing its copy of
    it, upload half a face, or hang in turn.
    """

    def __init__(self, path: Path) -> None:
        """Start the child for this path."""
        self._path = path
        self._lock = threading.Lock()
        self._asked = False
        self._answer = ""
        self._answered_at = -FRESH
        self._child = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", "-c", _CHILD, str(self._path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for us
            close_fds=False,  # ours are all close-on-exec, and this way nothing is closed while we wait
        )

    def ask(self) -> None:
        """Return when the mount has answered lately or answers now.

        Raises:
            StoreError: It answers with an error, or not within `DEADLINE` seconds.
        """
        with self._lock:
            if time.monotonic() - self._answered_at >= FRESH:
                self._answer = self._ask()
                self._answered_at = time.monotonic()
            if self._answer != OK:
                raise StoreError(f"mount {self._path}: {self._answer}; mount it again")

    def _ask(self) -> str:
        if self._child.poll() is not None:
            self._child, self._asked = self._start(), False
        question, answers = self._child.stdin, self._child.stdout
        if question is None or answers is None:
            return "its probe has no pipes"
        try:
            # A question that was not answered in time stays asked: the late answer counts.
            if not self._asked:
                question.write(b"\n")
                question.flush()
                self._asked = True
            if not select.select([answers], [], [], DEADLINE)[0]:
                return f"does not answer within {DEADLINE:.0f} s"
            self._asked = False
            return answers.readline().decode().strip() or "its probe ended"
        except OSError as error:
            return f"its probe ended ({error.strerror})"
