"""Runs all faults together for some minutes: `bin/test --soak MINUTES [--seed N] [--store s3|mount] [--attack]`.

Prints its progress, and at the end one JSON object: faces, kills, lost, duplicated, resends, seconds, and others.
"""

import argparse
import json
import logging
import random
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from faults.faults import Act, Fault, cut, kill_any, kill_mount, redeploy, store_errors, store_read_only, store_slow
from faults.run import run
from faults.world import World

REPORT_SECONDS = 30.0
OTHER_ACTS: tuple[Act, ...] = (cut(0.5, 4), redeploy, store_errors, store_slow, store_read_only)
"""Acts besides the kills. A fault of the store lasts until the next of these acts."""


def act(world: World, chance: random.Random) -> None:
    """Kill in three of four cases; otherwise run another act."""
    if chance.random() < 0.75:
        kill_any(world, chance)
        return
    world.proxy.heal()
    chance.choice((*OTHER_ACTS, *([kill_mount] if world.kind == "mount" else [])))(world, chance)


class Reporter:
    """Prints faces, kills and the memory of each process at an interval."""

    def __init__(self) -> None:
        self._started = self._last = time.monotonic()
        self.first: dict[str, int] = {}

    def __call__(self, world: World) -> None:
        now = time.monotonic()
        if now - self._last < REPORT_SECONDS:
            return
        self._last = now
        memory = {name: program.resident >> 20 for name, program in world.programs.items() if program.alive}
        self.first = {**memory, **self.first}
        faces = sum(log.read_text().count("committed ") for log in world.home.glob("committed-*.log"))
        sys.stderr.write(f"{now - self._started:6.0f} s  {faces} faces, {world.kills} kills; MiB: {memory}\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/test --soak", description=__doc__)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=["s3", "mount"], default="s3")
    parser.add_argument("--attack", action="store_true", help="let a hostile edge attack all the while")
    parser.add_argument("--rate", type=float, default=0, help="faces a second; 0: default of the store")
    options = parser.parse_args()
    logging.disable()
    rate = options.rate or {"s3": 40, "mount": 25}[options.store]
    attack = "random" if options.attack else ""
    fault = Fault("soak", act, pause=(0.5, 4.5), kind=options.store, rate=rate, attack=attack)
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        result = run(fault, Path(folder), seed=options.seed, seconds=options.minutes * 60, report=Reporter())
    sys.stdout.write(json.dumps(asdict(result)) + "\n")
    return int(bool(result.lost or result.duplicated))


if __name__ == "__main__":
    sys.exit(main())
