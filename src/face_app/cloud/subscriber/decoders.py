"""Decode images in few processes, which a crash or a time limit may end."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from face_app.cloud.subscriber.decoder_process import CPU_SECONDS, READY, REQUEST
from face_app.cloud.subscriber.retrying_store import StoppedError
from face_app.cloud.subscriber.slow_edges import SlowEdges
from face_app.cloud.subscriber.turns import Turns
from face_app.common.errors import MessageError
from face_app.common.metadata import Decode

log = logging.getLogger(__name__)

PROCESSES = 4
"""Number of processes. Each needs about 30 MB besides the image."""
QUICK_SECONDS = 0.5
"""Maximum CPU time of an image of an edge that is not slow. One that takes more makes its edge slow, and is decoded
again in a process that all slow edges share. A face of the default settings takes some milliseconds."""
ANSWER_SECONDS = 60.0
"""Maximum seconds until an answer. The process of an image that takes too much CPU time is killed earlier, so only a
process that waits, or a stopped machine, reaches this limit."""
START_SECONDS = 60.0
"""Maximum seconds until a process has started."""
END_SECONDS = 5.0
"""Maximum seconds until a process that has closed its connection has ended; the kernel may write its memory first."""
MAX_LINE = 4096
"""Maximum bytes of an answer. A process that a picture took over must not fill the memory of this one."""
COMMAND = (sys.executable, "-m", "face_app.cloud.subscriber.decoder_process")

_REFUSALS = {"not-an-image", "too-many-pixels", "too-many-scans"}
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGSYS, signal.SIGTRAP}


class DecoderLostError(Exception):
    """Signals that a process ended or hung, not necessarily because of its image.

    Attributes:
        refusal: Reason to refuse the image if a second process is lost too; empty if this machine is the cause.
    """

    def __init__(self, text: str, refusal: str = "") -> None:
        super().__init__(text)
        self.refusal = refusal


class SlowImageError(Exception):
    """Signals that an image took more CPU time than `QUICK_SECONDS`."""


class Decoders:
    """Decodes for many workers. Edges take turns, and slow ones share a process, as in `Turns`. Thread-safe.

    Attributes:
        slow: Edges with a recent image that took too much CPU time, or crashed one.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        """Prepare the processes; `start` starts them.

        Args:
            command: Starts a process that answers as `decoder_process` does.
        """
        self.slow = SlowEdges()
        self._processes = [DecoderProcess(command) for _ in range(PROCESSES)]
        self._lock = threading.Lock()
        self._free = self._processes.copy()
        self._turns: Turns[Future[DecoderProcess]] = Turns(PROCESSES, self.slow)

    def start(self) -> None:
        """Start the processes; wait until each has started, or cannot."""
        with ThreadPoolExecutor(PROCESSES) as pool:
            list(pool.map(_start, self._processes))

    def stop(self) -> None:
        """End all processes; waiting calls raise `StoppedError`."""
        for turn in self._turns.close():
            turn.set_exception(StoppedError())
        for process in self._processes:
            process.stop()

    def of(self, edge: str) -> Decode:
        """Return a function with the signature of `decoded_size` that decodes images of an edge."""
        return partial(self._decode, edge)

    def _decode(self, edge: str, pixels: bytes, max_pixels: int, scans: int) -> tuple[int, int]:
        quick = edge not in self.slow
        try:
            with self._process_for(edge) as process:
                try:
                    return process.decode(pixels, max_pixels, scans, quick=quick)
                finally:
                    if process.was_slow:
                        self.slow.add(edge)
        except SlowImageError:
            return self._decode(edge, pixels, max_pixels, scans)  # the edge is slow now

    @contextmanager
    def _process_for(self, edge: str) -> "Iterator[DecoderProcess]":
        """Wait for the edge's turn, and return a process that no other thread uses."""
        turn: Future[DecoderProcess] = Future()
        if not self._turns.put(edge, turn):
            raise StoppedError
        self._grant()
        process = turn.result()
        try:
            yield process
        finally:
            with self._lock:
                self._free.append(process)
            self._turns.done(edge)
            self._grant()

    def _grant(self) -> None:
        """Give the free processes to those whose turn it is."""
        with self._lock:
            while self._free and (turn := self._turns.get_nowait()):
                turn[1].set_result(self._free.pop())


def _start(process: "DecoderProcess") -> None:
    try:
        process.start()
    except (DecoderLostError, StoppedError, OSError) as error:
        log.warning("%s; each image tries it again", error)


class DecoderProcess:
    """Runs one process, and a new one after a loss. `stop` may be called from another thread.

    Attributes:
        was_slow: The last image took too much CPU time, hung or crashed.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Prepare; `start` or the first image starts the process."""
        self.was_slow = False
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._stopped = False

    def decode(self, pixels: bytes, max_pixels: int, scans: int, *, quick: bool = False) -> tuple[int, int]:
        """Decode an image; see `decoded_size`.

        An image that ends two processes is refused: the first may have had another cause.

        Args:
            pixels: The image.
            max_pixels: Maximum number of pixels.
            scans: Number of scans.
            quick: End it after `QUICK_SECONDS`.

        Raises:
            SlowImageError: It is not quick.
            MessageError: With the reason ``too-slow`` or ``crashes-decoder`` too.
            DecoderLostError: The process was killed, or cannot start.
            StoppedError: `stop` was called.
        """
        request = REQUEST.pack(len(pixels), max_pixels, scans, QUICK_SECONDS if quick else 0) + pixels
        self.was_slow = False
        try:
            answer = self._ask(request)
        except DecoderLostError as first:
            log.warning("%s; trying the image once more", first)
            try:
                answer = self._ask(request)
            except DecoderLostError as second:
                if not second.refusal:
                    raise
                raise MessageError(second.refusal, str(second)) from second
        return _size(answer)

    def stop(self) -> None:
        """End the process for good."""
        self._stopped = True
        if self._process:
            self._process.kill()

    def _ask(self, request: bytes) -> bytes:
        try:
            connection = self._socket or self.start()
            connection.settimeout(ANSWER_SECONDS)
            connection.sendall(request)
            return _line(connection)
        except TimeoutError as error:
            self._end(wait=0)
            self.was_slow = True
            raise DecoderLostError(f"the decoder gave no answer in {ANSWER_SECONDS:.0f} s", "too-slow") from error
        except ConnectionError as error:
            status = self._end(wait=END_SECONDS)
            if self._stopped:
                raise StoppedError from error
            self.was_slow = True
            raise _cause(status) from error

    def start(self) -> socket.socket:
        """Start the process; return the connection to it.

        Raises:
            DecoderLostError: It cannot start.
            StoppedError: `stop` was called.
        """
        if self._stopped:
            raise StoppedError
        connection, child_end = socket.socketpair()
        self._socket = connection
        with child_end:
            paths = os.pathsep.join(path for path in sys.path if path)
            # In a session of its own, so that signals of a terminal do not reach it.
            self._process = subprocess.Popen(  # noqa: S603
                self._command,
                stdin=child_end.fileno(),
                stdout=child_end.fileno(),
                env={**os.environ, "PYTHONPATH": paths},
                start_new_session=True,
            )
        connection.settimeout(START_SECONDS)
        try:
            started = _line(connection) == READY
        except (ConnectionError, TimeoutError):
            started = False
        if not started:
            self._end(wait=0)
            raise DecoderLostError("the decoder cannot start; see the lines above")
        return connection

    def _end(self, *, wait: float) -> int:
        """End the process, after it had some seconds to end by itself; return its status as `Popen.returncode` does."""
        process, connection = self._process, self._socket
        self._process = self._socket = None
        if connection:
            connection.close()
        if not process:  # it never started
            return 0
        try:
            return process.wait(wait)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _cause(status: int) -> Exception:
    """Return the error for the status of an ended process."""
    if -status == signal.SIGPROF:
        return SlowImageError(f"the decoder used {QUICK_SECONDS} s of CPU time")
    if -status == signal.SIGXCPU:  # CPU time does not depend on the load of this machine: no second attempt
        return MessageError("too-slow", f"the decoder used {CPU_SECONDS} s of CPU time")
    if -status in _CRASHES:
        return DecoderLostError(f"the decoder crashed ({signal.Signals(-status).name})", "crashes-decoder")
    return DecoderLostError(f"the decoder ended with status {status}")


def _line(connection: socket.socket) -> bytes:
    """Read one line.

    Raises:
        ConnectionError: The other end has closed.
        TimeoutError: Too late.
    """
    line = b""
    while not line.endswith(b"\n"):
        part = connection.recv(4096)
        if not part or len(line) > MAX_LINE:
            raise ConnectionResetError("the decoder has closed")
        line += part
    return line


def _size(line: bytes) -> tuple[int, int]:
    answer = json.loads(line)
    if answer.get("refused") in _REFUSALS:
        raise MessageError(answer["refused"], answer["detail"])
    if "size" not in answer:
        raise MemoryError(f"the decoder failed: {answer!r:.200}")
    width, height = answer["size"]
    return int(width), int(height)
