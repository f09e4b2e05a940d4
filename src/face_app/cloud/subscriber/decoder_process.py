"""Decode pixels in a process of its own: ``python -m face_app.cloud.subscriber.decoder_process``.

A request is four numbers and the pixels; an answer is one line of JSON. Only pixels arrive here, no metadata, and only
a size or a refusal leaves. A crash of native code, or more CPU time than allowed, ends this process and one message.
"""

import json
import math
import resource
import signal
import struct
import sys
import time
from typing import BinaryIO

from PIL import Image

from face_app.common.errors import MessageError
from face_app.common.metadata import decoded_size

REQUEST = struct.Struct("!QQId")
"""Number of bytes, maximum number of pixels, number of scans, maximum CPU seconds; the bytes follow. The seconds may be
less than `CPU_SECONDS`; 0: they are not."""
CPU_SECONDS = 10
"""Maximum CPU time of one image. The slowest image within all limits takes 1 s on two cores of 2020; a Raspberry Pi is
four times slower."""
READY = b"ready\n"


def main() -> None:
    """Answer requests until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent ends this process
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Image.preinit()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(READY)
    answers.flush()
    while header := requests.read(REQUEST.size):
        answers.write(json.dumps(_answer(requests, header)).encode() + b"\n")
        answers.flush()


def _answer(requests: BinaryIO, header: bytes) -> dict[str, object]:
    count, max_pixels, scans, seconds = REQUEST.unpack(header)
    pixels = requests.read(count)
    _limit_cpu()
    signal.setitimer(signal.ITIMER_PROF, seconds)  # SIGPROF ends this process
    try:
        return {"size": decoded_size(pixels, max_pixels, scans)}
    except MessageError as error:
        return {"refused": error.reason, "detail": str(error).removeprefix(f"{error.reason}: ")}
    except MemoryError:
        return {"error": "memory"}
    except OSError as error:
        return {"error": str(error)}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _limit_cpu() -> None:
    """Let the kernel end this process, also inside native code, when the next image takes too long."""
    used = time.process_time()
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    limit = math.ceil(used) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    main()
