"""Measure the gallery over a bucket of very many faces: fill, pages, memory, size of the index.

The listing is made up, in the order of a real one and by pages of 1000 keys, because a store takes an hour to receive a
million objects. Objects are drawn when they are read. So the figures have everything but the store's own time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2

from face_app.cloud.gallery import gallery as gallery_module
from face_app.cloud.gallery import serve
from face_app.cloud.gallery.face_key import parse_key
from face_app.cloud.gallery.objects import Listed
from face_app.common.settings import Broker, GallerySettings, Store
from support.faces import drawn_face, picture
from support.ports import free_port

END = datetime(2026, 11, 30, 20, tzinfo=timezone.utc)
DAYS = 60


class MadeUpBucket:
    """Answers as `Objects`, for a number of faces of some places: two cameras at each edge."""

    def __init__(self, faces: int, places: int) -> None:
        self.problem = ""
        self._places = places
        self._each = faces // places

    def pages(self, prefix: str) -> Iterator[list[Listed]]:
        page: list[Listed] = []
        for place in range(self._places):
            edge, camera = f"edge-{place // 2}", f"camera-{place % 2}"
            if prefix and not prefix.startswith(f"{edge}/{camera}/"):
                continue
            step = timedelta(days=DAYS) / self._each
            for number in range(1, self._each + 1):
                at = END - step * (self._each - number)
                name = f"face-{place:08x}-{number:09d}-{number % 0xFFFF:012x}.jpg"
                key = f"{edge}/{camera}/{at:%Y/%m/%d/%H}/{name}"
                if not key.startswith(prefix):
                    continue
                page.append(Listed(key, int(at.timestamp() * 1000) + 1500))
                if len(page) == 1000:
                    yield page
                    page = []
        yield page

    def get(self, key: str) -> bytes | None:
        parsed = parse_key(key)
        if parsed is None:
            return None
        at = datetime.fromtimestamp(parsed.hour * 3600 + parsed.face.sequence % 3600, timezone.utc)
        values = {"outbox": parsed.face.outbox, "edge": parsed.edge, "camera": parsed.camera, "captured_at": at}
        return drawn_face(parsed.face.sequence, **values).payload

    def check(self) -> bool:
        return True

    def forget(self, key: str) -> None:
        """Forget nothing."""


def child(faces: int, places: int, port: int, index: Path) -> None:
    """Serve, with the made-up bucket in the place of the real one."""
    picture()  # drawn once, outside the measurements
    gallery_module.Objects = lambda *_, **__: MadeUpBucket(faces, places)  # type: ignore[assignment,misc]
    settings = GallerySettings(
        port=port,
        index=index,
        store=Store(kind="directory", path=index.parent),
        broker=Broker(host="127.0.0.1", port=1),
        access_log=index.with_name("access.jsonl"),
    )
    serve.run(settings)


def memory(pid: int) -> dict[str, int]:
    """Return current and highest memory in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return {"now": int(values["VmRSS"]) // 1024, "peak": int(values["VmHWM"]) // 1024}


def measure(client: httpx2.Client, path: str, count: int) -> dict[str, float]:
    """Return milliseconds: the first request, then p50 and p95 of the others."""
    times = []
    for _ in range(count + 1):
        started = time.perf_counter()
        answer = client.get(path)
        times.append((time.perf_counter() - started) * 1000)
        assert answer.status_code == 200, (path, answer.status_code)
    warm = sorted(times[1:])
    p95 = warm[min(len(warm) - 1, int(len(warm) * 0.95))]
    return {"cold": round(times[0], 1), "p50": round(statistics.median(warm), 1), "p95": round(p95, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/bench gallery", description=__doc__)
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--cameras", type=int, default=6, help="two at each edge")
    parser.add_argument("--count", type=int, default=40, help="warm requests of each kind")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        child(options.faces, options.cameras, options.port, options.serve)
        return
    with TemporaryDirectory(prefix="gallery-bench-") as folder:
        port, index = free_port(), Path(folder) / "index.db"
        command = [sys.executable, "-m", "bench.gallery", "--serve", str(index), "--port", str(port)]
        command += ["--faces", str(options.faces), "--cameras", str(options.cameras)]
        started = time.perf_counter()
        with Path(folder, "log").open("w") as log:
            running = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))
        try:
            print(json.dumps(report(running, port, index, started, options.count), indent=1))
        finally:
            running.terminate()
            running.wait(20)


def report(running: "subprocess.Popen[bytes]", port: int, index: Path, started: float, count: int) -> dict[str, object]:
    """Return all figures."""
    with httpx2.Client(base_url=f"http://localhost:{port}", timeout=300) as client:
        while True:
            try:
                state = client.get("/api/state").json()
            except httpx2.HTTPError:
                assert running.poll() is None, index.with_name("log").read_text()
                time.sleep(0.1)
                continue
            if state["listed_at"]:
                break
            time.sleep(0.5)
        filled = time.perf_counter() - started
        after_fill = memory(running.pid)
        pages = {"first page": "/", "one camera": "/?edge=edge-0&camera=camera-0"}
        pages |= {
            "one day": "/?from=2026-10-20T00:00&to=2026-10-21T00:00",
            "one edge, as JSON": "/api/faces?edge=edge-0",
        }
        middle = int((END - timedelta(days=DAYS / 2)).timestamp() * 1000)
        pages |= {"in the middle": f"/?before={middle}-1", "activity": "/api/hours", "ledgers": "/ledgers"}
        key = client.get("/api/faces").json()["faces"][0]["key"]
        figures = {name: measure(client, path, count) for name, path in pages.items()}
        figures["one face"] = measure(client, f"/face/{key}", count)
        figures["one picture"] = measure(client, f"/image/{key}", count)
    size = sum(file.stat().st_size for file in index.parent.glob("index.db*"))
    return {
        "faces": state["faces"],
        "fill_seconds": round(filled, 1),
        "index_mib": size // 2**20,
        "memory_mib_after_fill": after_fill,
        "memory_mib_after_all": memory(running.pid),
        "milliseconds": figures,
    }


if __name__ == "__main__":
    main()
