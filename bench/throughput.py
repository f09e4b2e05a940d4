"""Measures the rate from an outbox to the bucket, beside the bare chain and the bare store, in one run.

A  raw chain: paho, edge broker, forwarder, mTLS, cloud broker, paho; the roles' configurations; no outbox, no store
B  raw store: the same files straight into it, by the fastest known client
C  face-app:  `face-app send` from a full outbox, the same brokers, `face-app subscribe`, a receipt for every face

The three take turns. The distance to the store is a proxy that delays its responses. The last line is JSON.
"""

import argparse
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from subprocess import Popen

from bench import face_app_chain, raw_chain, raw_store
from bench.distance import distant
from bench.payloads import payload
from face_app.cloud.bucket import operations
from face_app.common.settings import Store
from support.chain import EDGE, Broker, make_brokers, write_settings
from support.ports import free_port
from support.s3fs import s3fs_mount
from support.seaweedfs import SeaweedFS, seaweedfs

BUCKET = "face-app"
CHAIN_FACES = 2000


@dataclass(frozen=True)
class Case:
    """One case to measure.

    Attributes:
        store: Kind.
        distance_ms: Added round trip to the store.
        faces: How many, for some seconds.
    """

    store: str
    distance_ms: int
    faces: int


CASES = (Case("s3", 0, 2000), Case("s3", 20, 2000), Case("mount", 0, 600), Case("mount", 20, 200))


@dataclass
class Rates:
    """Rates in faces a second, one of each kind a round; `cpu_ms` is CPU a face in the last round of face-app."""

    chain: list[float] = field(default_factory=list)
    store: list[float] = field(default_factory=list)
    face_app: list[float] = field(default_factory=list)
    cpu_ms: dict[str, float] = field(default_factory=dict)

    @property
    def ratios(self) -> list[float]:
        """Ratio of face-app to the slower raw rate, round by round."""
        return [mine / min(raw) for mine, *raw in zip(self.face_app, self.chain, self.store, strict=True)]


class Place:
    """The three brokers, and the store at one distance."""

    def __init__(self, home: Path, brokers: dict[str, Broker], store: Store, stores: dict[str, Popen[bytes]]) -> None:
        self.store = store
        self._home, self._brokers, self._stores = home, brokers, stores
        self._metrics = free_port()
        write_settings(home, brokers, store, metrics=self._metrics)

    def chain(self, faces: int) -> float:
        with self._fresh_brokers():
            ports = self._brokers["edge"].port, self._brokers["cloud"].port
            return raw_chain.messages_per_second(*ports, self._brokers["cloud"].folder, faces)

    def raw(self, payloads: list[bytes]) -> float:
        return raw_store.puts_per_second(self.store, payloads, f"raw-{secrets.token_hex(4)}")

    def face_app(self, faces: int) -> tuple[float, dict[str, float]]:
        before = sum(1 for _ in operations.keys(self.store, f"{EDGE}/"))
        with self._fresh_brokers() as brokers:
            measured = face_app_chain.faces_per_second(
                self._home, self._brokers["edge"].port, self._metrics, faces, brokers | self._stores
            )
        stored = sum(1 for _ in operations.keys(self.store, f"{EDGE}/")) - before
        assert stored == faces, f"{stored} objects of {faces} faces"
        return measured

    @contextmanager
    def _fresh_brokers(self) -> Iterator[dict[str, Popen[bytes]]]:
        """Start the brokers without earlier messages and wait until both hops are open."""
        (self._brokers["cloud"].folder / "mosquitto.db").unlink(missing_ok=True)
        try:
            running = {name: self._brokers[name].start() for name in ("edge", "forwarder", "cloud")}
            raw_chain.wait_for_link(self._brokers["edge"].port)
            yield running
        finally:
            for broker in self._brokers.values():
                broker.stop()


@contextmanager
def place(home: Path, server: SeaweedFS, kind: str, seconds: float) -> Iterator[Place]:
    with ExitStack() as stack:
        far = replace(server, endpoint=stack.enter_context(distant(server.endpoint, seconds)))
        settings = {"bucket": BUCKET, "endpoint": far.endpoint, "credentials_file": server.credentials}
        stores = {"store": server.process}
        if kind == "mount":
            settings["path"] = home / "mount"
            settings["path"].mkdir()
            mount = stack.enter_context(s3fs_mount(far, BUCKET, settings["path"], log=home / "s3fs.log"))
            stores["s3fs"] = mount.process
        yield Place(home, make_brokers(home), Store(kind=kind, **settings), stores)


def measure(case: Case, rounds: int, server: SeaweedFS, *, chain_faces: int) -> Rates:
    measured = Rates()
    payloads = [payload(number) for number in range(case.faces)]
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as home,
        place(Path(home), server, case.store, case.distance_ms / 1000) as here,
    ):
        for number in range(rounds):
            measured.chain.append(here.chain(chain_faces))
            measured.store.append(here.raw(payloads))
            rate, measured.cpu_ms = here.face_app(case.faces)
            measured.face_app.append(rate)
            rates = f"A {measured.chain[-1]:.0f}, B {measured.store[-1]:.0f}, C {measured.face_app[-1]:.0f} faces/s"
            print(f"{case.store} {case.distance_ms} ms, round {number + 1}: {rates}", file=sys.stderr, flush=True)
    return measured


def spread(values: list[float], digits: int = 0) -> str:
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        "bin/bench throughput", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--quick", action="store_true", help="two rounds of a quarter of the faces")
    parser.add_argument("--store", choices=["s3", "mount"], help="only this one")
    parser.add_argument("--distance", type=int, choices=[0, 20], help="only this added distance, ms")
    options = parser.parse_args()
    rounds, part = (2, 4) if options.quick else (options.rounds, 1)
    cases = [
        replace(case, faces=case.faces // part)
        for case in CASES
        if options.store in {None, case.store} and options.distance in {None, case.distance_ms}
    ]
    began, size = time.monotonic(), len(payload(1))
    results = []
    print(
        f"{'store':6}{'added':>6}{'n':>3}  {'A chain /s':<18}{'B store /s':<18}{'C face-app /s':<18}"
        f"{'C MB/s':<8}{'C/min(A,B)':<18}CPU ms a face",
        flush=True,
    )
    with seaweedfs() as server:
        settings = Store(kind="s3", bucket=BUCKET, endpoint=server.endpoint, credentials_file=server.credentials)
        operations.ensure(settings, check=False)
        for case in cases:
            measured = measure(case, rounds, server, chain_faces=CHAIN_FACES // part)
            megabytes = statistics.median(measured.face_app) * size / 1e6
            cpu = ", ".join(f"{name} {spent:.2f}" for name, spent in measured.cpu_ms.items())
            print(
                f"{case.store:6}{case.distance_ms:>3} ms{rounds:>3}  {spread(measured.chain):<18}"
                f"{spread(measured.store):<18}{spread(measured.face_app):<18}{megabytes:<8.1f}"
                f"{spread(measured.ratios, 2):<18}{cpu}",
                flush=True,
            )
            ratios = [round(ratio, 3) for ratio in measured.ratios]
            results.append(
                asdict(case)
                | {"client_of_b": raw_store.client_name(settings.model_copy(update={"kind": case.store}))}
                | {"ratio": round(statistics.median(ratios), 3), "ratios": ratios, "mb_s": round(megabytes, 2)}
                | {
                    name: [round(value, 1) for value in getattr(measured, name)]
                    for name in ("chain", "store", "face_app")
                }
                | {"cpu_ms": {name: round(spent, 3) for name, spent in measured.cpu_ms.items()}}
            )
    print(
        json.dumps(
            {
                "cases": results,
                "rounds": rounds,
                "face_bytes": size,
                "distance": "delaying TCP proxy",
                "seconds": round(time.monotonic() - began),
            }
        )
    )


if __name__ == "__main__":
    main()
