"""A crash, a hang or too much work in the decoder ends one image."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from face_app.cloud.subscriber import decoders
from face_app.cloud.subscriber.decoder_process import CPU_SECONDS
from face_app.cloud.subscriber.decoders import DecoderLostError, DecoderProcess, Decoders
from face_app.cloud.subscriber.retrying_store import StoppedError
from face_app.common.errors import MessageError
from support.faces import picture
from support.heavy import scanned

FAULTY = """
import os, resource, signal, sys, time
from face_app.cloud.subscriber import decoder_process
real = decoder_process.decoded_size

def decoded_size(pixels, *limits):
    if pixels == b"hang":
        time.sleep(3600)
    if pixels == b"loop":
        resource.setrlimit(resource.RLIMIT_CPU, (1, -1))
        while True:
            pass
    if pixels == b"work":
        ends = time.process_time() + 1
        while time.process_time() < ends:
            pass
        return 1, 1
    if pixels == b"exit":
        os._exit(3)
    if pixels == b"memory":
        raise MemoryError
    if pixels == b"machine":
        raise OSError(28, "No space left")
    if pixels == b"flood":
        os.write(1, bytes(100_000))
    if pixels.startswith(b"once "):
        path = pixels[5:].decode()
        if not os.path.exists(path):
            open(path, "w").close()
            os.kill(os.getpid(), signal.SIGSEGV)
        return 1, 1
    if pixels.startswith(b"signal "):
        os.kill(os.getpid(), int(pixels[7:]))
    return real(pixels, *limits)

decoder_process.decoded_size = decoded_size
decoder_process.main()
"""


@pytest.fixture
def faulty(monkeypatch):
    monkeypatch.setattr(decoders, "PROCESSES", 2)
    running = Decoders([sys.executable, "-c", FAULTY])
    running.start()
    yield running
    running.stop()


def size(running, pixels, edge="jetson"):
    return running.of(edge)(pixels, 1_000_000, 1)


def reason(running, pixels):
    with pytest.raises(MessageError) as error:
        size(running, pixels)
    return error.value.reason


def test_the_answers_are_those_of_the_decoder():
    running = Decoders()
    running.start()
    try:
        assert size(running, picture("JPEG", 120)) == (120, 120)
        assert size(running, picture("PNG", 1000)) == (1000, 1000)
        assert reason(running, picture("PNG", 1001)) == "too-many-pixels"
        assert reason(running, b"garbage") == "not-an-image"
        assert reason(running, b"") == "not-an-image"
        assert reason(running, b"\xff\xd8" * 100_000) == "not-an-image"
        with pytest.raises(MessageError, match="too-many-scans"):
            running.of("jetson")(picture("JPEG", 1000), 1_000_000, 161)
    finally:
        running.stop()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE])
def test_an_image_that_crashes_two_decoders_is_refused(faulty, number):
    assert reason(faulty, b"signal %d" % number) == "crashes-decoder"
    assert size(faulty, picture()) == (120, 120)


def test_an_image_that_crashes_one_decoder_is_decoded_by_the_next(faulty, tmp_path):
    assert size(faulty, b"once " + str(tmp_path / "crashed").encode()) == (1, 1)


def test_an_image_that_takes_too_much_work_is_refused(faulty):
    assert reason(faulty, b"loop") == "too-slow"
    assert size(faulty, picture()) == (120, 120)


def test_an_image_on_which_two_decoders_hang_is_refused(faulty, monkeypatch):
    monkeypatch.setattr(decoders, "ANSWER_SECONDS", 3)
    assert reason(faulty, b"hang") == "too-slow"
    assert size(faulty, picture()) == (120, 120)


@pytest.mark.parametrize("pixels", [b"exit", b"signal 9", b"signal 15", b"flood"])
def test_a_decoder_that_is_ended_from_outside_refuses_nothing(faulty, pixels):
    with pytest.raises(DecoderLostError):
        size(faulty, pixels)
    assert size(faulty, picture()) == (120, 120)


@pytest.mark.parametrize("pixels", [b"memory", b"machine"])
def test_a_shortage_refuses_nothing(faulty, pixels):
    with pytest.raises(MemoryError):
        size(faulty, pixels)
    assert size(faulty, picture()) == (120, 120)


def test_a_decoder_that_cannot_start_refuses_nothing():
    running = Decoders([sys.executable, "-c", "import nothing_of_this_name"])
    running.start()
    try:
        with pytest.raises(DecoderLostError, match="cannot start"):
            size(running, picture())
    finally:
        running.stop()


def test_another_edge_finds_a_free_decoder(faulty):
    """Images of one edge hang in all decoders that it may use."""

    def hang():
        with suppress(StoppedError):
            size(faulty, b"hang", "hostile")

    for _ in range(5):
        threading.Thread(target=hang, daemon=True).start()
    while not len(faulty._turns):
        time.sleep(0.01)
    assert size(faulty, picture(), "honest") == (120, 120)


def test_slow_edges_share_one_decoder(faulty):
    """The images of many hostile edges hang, in one of two decoders."""

    def hang(edge):
        with suppress(StoppedError):
            size(faulty, b"hang", edge)

    for number in range(8):
        faulty.slow.add(f"hostile-{number}")
        threading.Thread(target=hang, args=[f"hostile-{number}"], daemon=True).start()
    while len(faulty._turns) < 7:
        time.sleep(0.01)
    assert size(faulty, picture(), "honest") == (120, 120)


def test_an_image_that_is_not_quick_is_decoded_again_and_its_edge_is_slow(faulty):
    assert size(faulty, picture()) == (120, 120)
    assert "jetson" not in faulty.slow
    assert size(faulty, b"work") == (1, 1)
    assert "jetson" in faulty.slow
    processes = [process._process.pid for process in faulty._processes if process._process]
    assert size(faulty, b"work") == (1, 1), "a slow edge has the whole limit"
    assert set(processes) <= {process._process.pid for process in faulty._processes if process._process}


@pytest.mark.parametrize("pixels", [b"loop", b"signal 11"])
def test_an_edge_that_ends_decoders_is_slow(faulty, pixels):
    reason(faulty, pixels)
    assert "jetson" in faulty.slow


@pytest.mark.parametrize("pixels", [b"memory", b"garbage", picture("PNG", 1001)])
def test_a_cheap_refusal_makes_no_edge_slow(faulty, pixels):
    with suppress(MessageError, MemoryError):
        size(faulty, pixels)
    assert not len(faulty.slow)


@pytest.mark.full
def test_a_real_image_that_takes_ten_seconds_of_cpu_time_is_refused():
    """Limits of pixels and scans do not allow it, so the caller grants more of both."""
    process = DecoderProcess(decoders.COMMAND)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        with pytest.raises(MessageError) as error:
            process.decode(scanned(8_000, 4_000), 10**9, 1)
    finally:
        process.stop()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert error.value.reason == "too-slow"
    assert str(CPU_SECONDS) in str(error.value)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert CPU_SECONDS <= spent < CPU_SECONDS + 5


def test_stop_ends_calls_that_wait(monkeypatch):
    monkeypatch.setattr(decoders, "PROCESSES", 1)
    running, ended = Decoders([sys.executable, "-c", FAULTY]), []
    running.start()
    assert size(running, picture()) == (120, 120)

    def call():
        with pytest.raises(StoppedError):
            size(running, b"hang")
        ended.append(True)

    calls = [threading.Thread(target=call) for _ in range(3)]
    for each in calls:
        each.start()
    while len(running._turns) < 2:
        time.sleep(0.01)
    processes = [process._process for process in running._processes]
    running.stop()
    for each in calls:
        each.join(60)
    assert len(ended) == 3
    assert all(process.wait(60) for process in processes)
    with pytest.raises(StoppedError):
        size(running, picture())


def test_decoders_end_with_their_parent():
    code = (
        "import os; from face_app.cloud.subscriber.decoders import Decoders; from support.faces import picture\n"
        "d = Decoders(); d.start(); d.of('a')(picture(), 10**6, 1)\n"
        "print(*[p._process.pid for p in d._processes], flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    pids = done.stdout.split()
    assert len(pids) == decoders.PROCESSES
    deadline = time.monotonic() + 60
    for pid in pids:
        stat = Path(f"/proc/{pid}/stat")
        while stat.exists() and " Z " not in stat.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
