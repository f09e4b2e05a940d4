"""The Grafana board is current, and each of its queries returns series of the real chain."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from face_app.cloud.bucket import operations
from face_app.common.settings import Store
from support.chain import EDGE, make_brokers, write_settings
from support.clips import visits_clip
from support.gallery import running_gallery
from support.monitoring import MISSING, Monitoring, installed, monitoring
from support.ports import free_port, free_ports, wait_for_port
from support.processes import process
from support.seaweedfs import MISSING as NO_STORE
from support.seaweedfs import seaweedfs, weed

ROOT = Path(__file__).parents[2]
BOARD = json.loads((ROOT / "files/grafana/face-app.json").read_text())
TARGETS = [target for panel in BOARD["panels"] for target in panel.get("targets", [])]
QUERIES = [target["expr"] for target in TARGETS]
IDLE = ("refused_total", "rejected_total", "expired_total", "bad_frames", "not_copied", "declined", "receipts_refused")


def test_the_board_is_current():
    command = [sys.executable, ROOT / "bin/board", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_board_has_a_query_in_each_panel():
    panels = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
    assert len(panels) > 20
    assert all(panel["targets"] and panel["title"] for panel in panels)
    assert all(target["refId"] for target in TARGETS)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    """A Prometheus that has read both ends while they stored faces."""
    home = tmp_path_factory.mktemp("chain")
    capture_port, subscriber_port, gallery_port = free_ports(3)
    for name in ("monitoring", "gallery"):
        (home / name).mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(seaweedfs())
        bucket = f"faces-{free_port()}"
        store = Store(kind="s3", bucket=bucket, endpoint=server.endpoint, credentials_file=server.credentials)
        operations.ensure(store, check=False)
        brokers = make_brokers(home)
        write_settings(home, brokers, store, metrics=subscriber_port)
        for broker in brokers.values():
            stack.callback(broker.stop)
            broker.start()

        def start(port: int, *arguments: str) -> None:
            command = [sys.executable, "-m", "face_app", *arguments]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            wait_for_port(port, stack.enter_context(process(command, home / f"{arguments[0]}.log", env=environment)))

        start(subscriber_port, "subscribe", "--config", str(home / "cloud.toml"))
        cloud = brokers["cloud"]
        files = {"ca_file": "ca.crt", "cert_file": "gallery.crt", "key_file": "gallery.key"}
        identity = {name: str(cloud.folder / file) for name, file in files.items()}
        stack.enter_context(
            running_gallery(
                home / "gallery",
                store,
                cloud.port,
                broker={"host": "127.0.0.1", "port": cloud.port, **identity},
                metrics={"port": gallery_port},
            )
        )
        edge = {"job_name": "face-app-edge", "static_configs": [{"targets": [f"127.0.0.1:{capture_port}"]}]}
        running = stack.enter_context(
            monitoring(
                home / "monitoring",
                subscribers=[f"127.0.0.1:{subscriber_port}"],
                gallery=f"127.0.0.1:{gallery_port}",
                monitoring_scrape_configs=[edge],
            )
        )
        with (home / "edge.toml").open("a") as file:
            file.write(f'[status]\ncertificate_file = "{cloud.folder}/{EDGE}.crt"\n')
        clip = visits_clip(home / "visits.avi", 3)
        options = ["--config", str(home / "edge.toml"), "--source", str(clip), "--loop"]
        start(capture_port, "capture", *options, f"--metrics-port={capture_port}")
        running.wait_for(lambda each: each.query("face_app_subscriber_stored_total > 2"))
        running.wait_for(lambda each: each.query("face_app_fleet_certificate_days"))
        running.wait_for(lambda each: each.query(f'face_app_fleet_faces_total{{edge="{EDGE}"}} > 0'))
        yield running


@pytest.mark.full
@pytest.mark.skipif(not installed(), reason=MISSING)
@pytest.mark.skipif(not weed(), reason=NO_STORE)
@pytest.mark.parametrize("query", QUERIES)
def test_a_query_returns_series(scraped, query):
    expression = query.replace("$edge", ".*").replace("$__rate_interval", "30s")
    assert "$" not in expression
    # A rate needs two measurements.
    series = scraped.wait_for(lambda each: each.query(expression))
    values = [float(each["value"][1]) for each in series]
    assert not any(map(math.isnan, values))
    if any(name in query for name in IDLE):
        assert values == [0] * len(values)
