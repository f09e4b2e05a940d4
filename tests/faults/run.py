"""Runs a chain under one fault, and compares both ends afterwards."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from faults.clocks import has_own_clock, own_clock, set_clock
from faults.copies import copies
from faults.disks import small_disk
from faults.faults import Fault, make_room
from faults.figures import Meter, limited_memory
from faults.outcome import Outcome, outcome
from faults.verdict import audit
from faults.world import World, world
from support.chain import EDGE, PASSWORD

DRAIN_SECONDS = 900
STARTS_AFTER_DAMAGE = 5
"""Starts of the sender after damage: each start may find one more damaged place and recover the rest."""


def run(
    fault: Fault,
    home: Path,
    *,
    seed: int,
    seconds: float,
    forget: bool = False,
    drain: float = DRAIN_SECONDS,
    report: Callable[[World], None] = lambda _: None,
) -> Outcome:
    """Commit faces under a fault, heal, wait until the outboxes are empty, and compare both ends.

    Args:
        fault: The fault.
        home: An empty folder.
        seed: Of every random choice.
        seconds: Duration of the fault.
        forget: Drop faces after the PUBACK, without receipts.
        drain: Maximum of the seconds until all faces are stored, after the repair.
        report: Called between two acts.

    Raises:
        AssertionError: The outbox did not empty, or the audit found a fault.
    """
    with _set_up(fault, home, seed, forget=forget) as running:
        running.wait_for_faces()
        if fault.attack:
            running.attack(fault.attack, seed)
        started, meter = time.monotonic(), Meter(running)
        _disturb(running, fault, seed, seconds, report)
        meter.end()
        fault.check(running)
        _heal(running, fault)
        loses = fault.audit == "names losses"
        attempts = STARTS_AFTER_DAMAGE if loses else 1
        running.drain(drain, attempts=attempts)
        seconds = time.monotonic() - started
        verdict = None if forget else audit(running, attempts=attempts)
        assert not verdict or verdict.balanced or loses, verdict.table
        return outcome(running, seconds, verdict, None if loses else meter.figures())


@contextmanager
def _set_up(fault: Fault, home: Path, seed: int, *, forget: bool) -> Iterator[World]:
    with ExitStack() as stack:
        if fault.edge_disk:
            stack.enter_context(small_disk(home / "edge-0", fault.edge_disk))
        if fault.cloud_disk:
            stack.enter_context(small_disk(home / "store", fault.cloud_disk))
        running = stack.enter_context(
            world(
                home,
                kind=fault.kind,
                seed=seed,
                rate=fault.rate,
                cameras=fault.cameras,
                forget=forget,
                broker_memory=fault.broker_memory,
            )
        )
        if fault.own_clocks:
            for program in (*running.cameras, *running.subscribers):
                own_clock(program, home)
        if fault.copies:
            stack.enter_context(copies(running["edge"].port or 0, EDGE, PASSWORD, seed))
        stack.enter_context(limited_memory(running["cloud"], fault.broker_memory))
        yield running


def _disturb(running: World, fault: Fault, seed: int, seconds: float, report: Callable[[World], None]) -> None:
    chance, started = random.Random(seed), time.monotonic()
    while time.monotonic() - started < seconds:
        time.sleep(chance.uniform(*fault.pause))
        fault.act(running, chance)
        report(running)


def _heal(running: World, fault: Fault) -> None:
    make_room(running)
    if fault.cloud_disk:
        # The disk may have been full at some time before.
        running.restart_store()
    for program in running.programs.values():
        if has_own_clock(program):
            set_clock(program, 0)  # a store refuses a client whose clock differs by minutes
    running.heal()
