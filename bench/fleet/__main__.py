"""Measures the cloud in front of 1, 10, 100 and 1,000 edges: does a face cost the same, and who returns after a fault?

Real are certificates, TLS connections, broker (the role's configuration), subscribers, store, and each edge's outbox
and sender. Simulated is what is before the outbox: faces are drawn, and come at one total rate for any number of edges.
An edge connects to the cloud itself, so it has one connection there, as with a forwarder.

All run on one machine: `simulator` is the share of its cores that the simulated edges take. The last line is JSON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.fleet.cloud import Cloud, cloud, cpu_seconds_of
from bench.fleet.edges import Fleet, fleet
from face_app.cloud.bucket import operations
from support.seaweedfs import SeaweedFS, seaweedfs


@dataclass
class Result:
    """What one number of edges costs. Lists have one value a round; seconds, unless the name says otherwise.

    Attributes:
        connect: From the first connection until all edges are subscribed.
        broker_kb: Resident memory of the broker per connected edge.
        cpu_ms: CPU of each part per face.
        delays_ms: Median and 99th percentile from capture to receipt.
        simulator: Share of the machine's CPU time that the edges took.
        states: Until a new reader has the retained states of all edges.
        back: From the death of the broker until all edges are connected again.
        resumed: From the death of the broker until all faces captured meanwhile have receipts.
        audit: Of `face-app audit` over the ledgers of all edges, which must prove every face.
        listing: Of all keys.
        keys: Number of keys in the listing.
    """

    edges: int
    connect: float = 0.0
    broker_kb: float = 0.0
    cpu_ms: dict[str, list[float]] = field(default_factory=dict)
    delays_ms: list[tuple[float, float]] = field(default_factory=list)
    simulator: list[float] = field(default_factory=list)
    states: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)
    resumed: list[float] = field(default_factory=list)
    audit: float = 0.0
    listing: float = 0.0
    keys: int = 0


def measure(count: int, options: argparse.Namespace, server: SeaweedFS) -> Result:
    result, names = Result(count), [f"edge-{number:04}" for number in range(count)]
    with (
        tempfile.TemporaryDirectory(prefix="fleet-") as folder,
        cloud(Path(folder), server, f"fleet-{count}", names, options.subscribers) as here,
        fleet(names, Path(folder), here.broker.folder, here.broker.port) as edges,
    ):
        _connect(result, here, edges)
        for _ in range(options.rounds):
            _flow(result, here, edges, options)
        for _ in range(options.rounds):
            result.states.append(here.states_seconds(count))
        for _ in range(options.kills):
            _kill(result, here, edges, options)
        _audit(result, here, edges)
    return result


def _connect(result: Result, here: Cloud, edges: Fleet) -> None:
    before, began = here.broker_kilobytes(), time.monotonic()
    result.connect = max(edges("connect")) - began
    result.broker_kb = (here.broker_kilobytes() - before) / result.edges
    _log(f"{result.edges} edges connected in {result.connect:.1f} s")


def _flow(result: Result, here: Cloud, edges: Fleet, options: argparse.Namespace) -> None:
    processes = [process.pid for process in edges.processes if process.pid]
    before, simulator, began = here.cpu_seconds(), cpu_seconds_of(processes), time.monotonic()
    flow = edges.flow(options.rate, options.faces)
    seconds, after = time.monotonic() - began, here.cpu_seconds()
    for part, spent in after.items():
        result.cpu_ms.setdefault(part, []).append(1000 * (spent - before[part]) / flow.faces)
    result.simulator.append((cpu_seconds_of(processes) - simulator) / seconds / (os.cpu_count() or 1))
    assert len(flow.delays) == flow.faces, f"{len(flow.delays)} faces of {flow.faces} are stored"
    delays = sorted(1000 * delay for delay in flow.delays)
    result.delays_ms.append((statistics.median(delays), delays[-(-len(delays) * 99 // 100) - 1]))
    spent = {part: round(rounds[-1], 2) for part, rounds in result.cpu_ms.items()}
    _log(f"{flow.faces} faces in {seconds:.1f} s, CPU ms {spent}")


def _kill(result: Result, here: Cloud, edges: Fleet, options: argparse.Namespace) -> None:
    """Kill the broker, start it again, and let faces come at once."""
    epoch = max(edges("epoch"))
    here.broker.kill()
    began = time.monotonic()
    here.broker.start()
    result.back.append(max(edges("wait_until_connected", epoch)) - began)
    edges.flow(options.rate, max(options.faces // 10, len(edges.processes)))
    result.resumed.append(time.monotonic() - began)
    _log(f"all are back after {result.back[-1]:.1f} s, faces too after {result.resumed[-1]:.1f} s")


def _audit(result: Result, here: Cloud, edges: Fleet) -> None:
    ledgers = [file for files in edges("ledgers") for file in files]
    arguments = [argument for file in ledgers for argument in ("--ledger", str(file))]
    command = [sys.executable, "-m", "face_app", "audit", "--config", str(here.config), *arguments]
    began = time.monotonic()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    result.audit = time.monotonic() - began
    assert done.returncode == 0, f"the audit ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}"
    began = time.monotonic()
    result.keys = sum(1 for _ in operations.keys(here.store, ""))
    result.listing = time.monotonic() - began
    _log(f"audit of {len(ledgers)} ledgers in {result.audit:.1f} s")


def _spread(values: Sequence[float], digits: int = 1) -> str:
    if not values:
        return "-"
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"


def row(result: Result) -> str:
    """Return the row of the table for one number of edges."""
    p50, p99 = zip(*result.delays_ms, strict=True)
    cells = [
        *(str(result.edges), f"{result.connect:.1f}", f"{result.broker_kb:.0f}"),
        *(_spread(result.cpu_ms[part], 2) for part in ("subscribers", "broker", "store")),
        *(_spread(p50, 0), _spread(p99, 0), _spread([100 * share for share in result.simulator], 0)),
        *(_spread(result.states, 2), _spread(result.back), _spread(result.resumed)),
        *(f"{result.audit:.1f}", f"{result.listing:.2f} ({result.keys})"),
    ]
    return "| " + " | ".join(cells) + " |"


HEADER = (
    "| edges | connect s | broker KB an edge | subscribers CPU-ms a face | broker | store | p50 ms | p99 ms "
    "| simulator % | states s | back s | resumed s | audit s | listing s (keys) |"
)


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        "bin/bench fleet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--edges", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--subscribers", type=int, default=1)
    parser.add_argument("--rate", type=float, default=50, help="faces a second of all edges together (50)")
    parser.add_argument("--faces", type=int, default=1000, help="faces a round (1000)")
    parser.add_argument("--rounds", type=int, default=5, help="flows, and readers of all states (5)")
    parser.add_argument("--kills", type=int, default=5, help="how often the broker is killed (5)")
    parser.add_argument("--json", action="store_true", help="only the last line")
    options = parser.parse_args()
    results = []
    if not options.json:
        print(HEADER + "\n|" + "---|" * HEADER.count(" | ") + "---|", flush=True)
    with seaweedfs() as server:
        for count in options.edges:
            results.append(measure(count, options, server))
            if not options.json:
                print(row(results[-1]), flush=True)
    about = {"rate": options.rate, "faces": options.faces, "subscribers": options.subscribers, "load": os.getloadavg()}
    print(json.dumps({"results": [asdict(result) for result in results], **about}))


if __name__ == "__main__":
    main()
