"""Finds free ports of the loopback, and waits until a process listens."""

import itertools
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from subprocess import Popen

# Below the range that the kernel gives to outgoing connections, so none is taken by chance.
RANGE = range(20000, 32000)
BLOCK = 400


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that are free now; all different.

    No other test process gets them, and this one gets each again only after all others of its block. So a port is
    still free where a test takes a while to listen, or stops its broker and starts it again.
    """
    with ExitStack() as probes:
        ports: list[int] = []
        for candidate in itertools.islice(_candidates(os.getpid()), BLOCK):
            probe = probes.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            ports.append(candidate)
            if len(ports) == count:
                return ports
    raise RuntimeError("no free ports on 127.0.0.1")


@cache
def _candidates(process: int) -> Iterator[int]:
    """Claim a block of ports for this process, and go round it. A forked process claims another one."""
    for first in RANGE[::BLOCK]:
        claim = socket.socket(socket.AF_UNIX)
        try:
            # An abstract name: one process has it, and it is gone with that process.
            claim.bind(f"\0face-app-test-ports-{first}")
        except OSError:
            claim.close()
            continue
        _claims[process] = claim
        return itertools.cycle(range(first, first + BLOCK))
    raise RuntimeError(f"{len(RANGE) // BLOCK} processes use all ports of {RANGE}")


_claims: dict[int, socket.socket] = {}


def free_port() -> int:
    return free_ports(1)[0]


def wait_for_port(port: int, process: Popen[bytes], *, seconds: float = 90) -> None:
    """Wait until a process listens.

    Raises:
        RuntimeError: It ended, or does not listen in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen on {port}")
