"""Runs every fault with several seeds: `python -m faults.matrix --seeds 5 --seconds 15`, from the folder `tests`."""

import argparse
import json
import logging
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from faults.faults import CATALOGUE, Fault
from faults.outcome import Outcome
from faults.run import DRAIN_SECONDS, run

NAMES = ("seeds", "faces", "kills", "lost", "double", "silent", "resends", "seconds")
HEAD = f"{'fault':34}" + "".join(f"{name:>9}" for name in NAMES)


def print_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def row(name: str, outcomes: list[Outcome]) -> str:
    fields = ("faces", "kills", "lost", "duplicated", "silent", "resends", "seconds")
    sums = [len(outcomes), *(round(sum(getattr(each, field) for each in outcomes)) for field in fields)]
    return f"{name:34}" + "".join(f"{number:9}" for number in sums)


def wrong(fault: Fault, result: Outcome) -> bool:
    """Return True if the outcome breaks the promise of the fault."""
    return bool(result.duplicated or result.silent or (result.lost and fault.audit == "balanced"))


def once(fault: Fault, seed: int, options: argparse.Namespace) -> Outcome | str:
    """Run a fault once; return the reason if the chain did not recover."""
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        try:
            given = {"seconds": options.seconds, "forget": options.forget, "drain": options.drain}
            return run(fault, Path(folder), seed=seed, **given)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            return f"seed {seed}: {error!s:.600}"


def of_fault(fault: Fault, options: argparse.Namespace) -> list[Outcome]:
    """Run a fault with each seed and print its row; count a run that did not recover in no row."""
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    results = [once(fault, seed, options) for seed in seeds]
    outcomes = [each for each in results if isinstance(each, Outcome)]
    if outcomes:
        print_line(row(fault.name, outcomes))
    for each in results:
        if isinstance(each, str):
            print_line(f"  failed: {each}")
        elif fault.alone:
            print_line(f"  balanced: {each.balanced}; {each.figures}")
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=15, help="of each run, before it drains")
    parser.add_argument("--drain", type=float, default=DRAIN_SECONDS, help="maximum of seconds until all are stored")
    parser.add_argument("--only", default="", help="only faults with this text in the name")
    parser.add_argument("--forget", action="store_true", help="drop faces after the PUBACK: this loses faces")
    options = parser.parse_args()
    logging.disable()
    print_line(HEAD)
    chosen = [fault for fault in CATALOGUE if options.only in fault.name]
    results = {fault.name: of_fault(fault, options) for fault in chosen}
    every = [each for outcomes in results.values() for each in outcomes]
    if every:
        print_line(row("all", every))
    print_line(json.dumps({name: [asdict(each) for each in outcomes] for name, outcomes in results.items()}))
    broken = any(wrong(fault, each) for fault in chosen for each in results[fault.name])
    return int(not options.forget and (broken or len(every) < len(chosen) * options.seeds))


if __name__ == "__main__":
    sys.exit(main())
