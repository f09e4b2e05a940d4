"""Runs every fault with several seeds: `python -m faults.matrix --seeds 5 --seconds 15`, from the folder `tests`."""

import argparse
import json
import logging
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from faults.faults import CATALOGUE, Fault
from faults.outcome import Outcome
from faults.run import run

HEAD = f"{'fault':32}{'seeds':>6}{'faces':>8}{'kills':>7}{'lost':>6}{'double':>8}{'resends':>9}{'seconds':>9}"


def print_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def row(name: str, outcomes: list[Outcome]) -> str:
    sums = {field: sum(asdict(each)[field] for each in outcomes) for field in asdict(outcomes[0])}
    return (
        f"{name:32}{len(outcomes):6}{sums['faces']:8}{sums['kills']:7}{sums['lost']:6}{sums['duplicated']:8}"
        f"{sums['resends']:9}{sums['seconds']:9.0f}"
    )


def once(fault: Fault, seed: int, seconds: float, *, forget: bool = False) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        return run(fault, Path(folder), seed=seed, seconds=seconds, forget=forget)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=15, help="of each run, before it drains")
    parser.add_argument("--only", default="", help="only faults with this text in the name")
    parser.add_argument("--forget", action="store_true", help="drop faces after the PUBACK: this loses faces")
    options = parser.parse_args()
    logging.disable()
    print_line(HEAD)
    results: dict[str, list[Outcome]] = {}
    for fault in CATALOGUE:
        if options.only not in fault.name:
            continue
        seeds = range(options.first_seed, options.first_seed + options.seeds)
        results[fault.name] = [once(fault, seed, options.seconds, forget=options.forget) for seed in seeds]
        print_line(row(fault.name, results[fault.name]))
    every = [each for outcomes in results.values() for each in outcomes]
    print_line(row("all", every))
    print_line(json.dumps({name: [asdict(each) for each in outcomes] for name, outcomes in results.items()}))
    return int(not options.forget and any(each.lost or each.duplicated for each in every))


if __name__ == "__main__":
    sys.exit(main())
