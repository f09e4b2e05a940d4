"""Runs a chain under one fault, and compares both ends afterwards."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from faults.clocks import has_own_clock, own_clock, set_clock
from faults.copies import copies
from faults.disks import small_disk
from faults.faults import Fault, make_room
from faults.outcome import Outcome, outcome
from faults.world import EDGE, PASSWORD, World, world

DRAIN_SECONDS = 900


def run(
    fault: Fault,
    home: Path,
    *,
    seed: int,
    seconds: float,
    forget: bool = False,
    report: Callable[[World], None] = lambda _: None,
) -> Outcome:
    """Commit faces under a fault, heal, wait until the outboxes are empty, and compare both ends.

    Args:
        fault: The fault.
        home: An empty folder.
        seed: Of every random choice.
        seconds: Duration of the fault.
        forget: Drop faces after the PUBACK, without receipts.
        report: Called between two acts.

    Raises:
        AssertionError: The outbox did not empty, or the audit found a fault.
    """
    chance = random.Random(seed)
    with ExitStack() as stack:
        if fault.edge_disk:
            stack.enter_context(small_disk(home / "edge-0", fault.edge_disk))
        if fault.cloud_disk:
            stack.enter_context(small_disk(home / "store", fault.cloud_disk))
        chain = world(home, kind=fault.kind, seed=seed, rate=fault.rate, cameras=fault.cameras, forget=forget)
        running = stack.enter_context(chain)
        if fault.own_clocks:
            for program in (*running.cameras, *running.subscribers):
                own_clock(program, home)
        if fault.copies:
            stack.enter_context(copies(running["edge"].port or 0, EDGE, PASSWORD, seed))
        running.wait_for_faces()
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            time.sleep(chance.uniform(*fault.pause))
            fault.act(running, chance)
            report(running)
        _heal(running, fault)
        running.drain(DRAIN_SECONDS)
        result = outcome(running, time.monotonic() - started)
        if not forget:
            running.audit()
        return result


def _heal(running: World, fault: Fault) -> None:
    make_room(running)
    if fault.cloud_disk:
        # The disk may have been full at some time before.
        running.restart_store()
    for program in running.programs.values():
        if has_own_clock(program):
            set_clock(program, 0)  # a store refuses a client whose clock differs by minutes
    running.heal()
