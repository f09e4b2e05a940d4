"""Ports nobody listens on, and waiting until somebody does."""

import random
import socket
import time
from contextlib import ExitStack
from subprocess import Popen


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that are free now; all different.

    They lie below the range that the kernel gives to outgoing connections, so none is taken by chance in between.
    """
    with ExitStack() as held:
        ports: list[int] = []
        for candidate in _candidates():
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            ports.append(candidate)
            if len(ports) == count:
                return ports
    raise RuntimeError("no free ports on 127.0.0.1")


def _candidates() -> list[int]:
    return random.sample(range(20000, 32000), 1000)


def free_port() -> int:
    return free_ports(1)[0]


def wait_for_port(port: int, process: Popen[bytes], *, seconds: float = 20) -> None:
    """Wait until a process listens.

    Raises:
        RuntimeError: It ended, or does not listen in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} does not listen on {port}")
