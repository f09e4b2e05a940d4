"""Alarms use metrics that the programs export, and have a severity and a remedy."""

import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from face_app.cloud.gallery.edge_states import EdgeStates
from face_app.cloud.gallery.fleet_metrics import FleetCollector, GalleryCollector
from face_app.cloud.subscriber.metrics import SubscriberMetrics
from face_app.edge import metrics

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("roles/monitoring/files/rules/*.yml"))
OTHERS = {"prometheus_config_last_reload_successful", "alertmanager_config_last_reload_successful"}
OTHERS |= {"alertmanager_notifications_failed_total"}
GROUPS = [group for file in FILES for group in yaml.load(file.read_text(), yaml.CSafeLoader)["groups"]]
RULES = [rule for group in GROUPS for rule in group["rules"]]
PROMTOOL = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian: prometheus) is not installed")


def exported():
    registry = CollectorRegistry()
    SubscriberMetrics(registry)
    gallery = SimpleNamespace(objects=SimpleNamespace(problem=""), feed=SimpleNamespace(problem=""))
    gallery.filler = SimpleNamespace(progress=SimpleNamespace(last_objects=0))
    edge = [each for each in vars(metrics).values() if isinstance(each, (Counter, Gauge))]
    edge += [FleetCollector(EdgeStates()), GalleryCollector(gallery)]
    names = {metric.name for part in (registry, *edge) for metric in part.collect()}
    kinds = {metric.name: metric.type for part in (registry, *edge) for metric in part.collect()}
    series = {f"{name}_total" if kinds[name] == "counter" else name for name in names}
    series |= {f"{name}_{end}" for name in names if kinds[name] == "histogram" for end in ("bucket", "sum", "count")}
    template = (ROOT / "roles/certificates/templates/certificates.prom.j2").read_text()
    return series | set(re.findall(r"# TYPE (\w+)", template))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alarm_uses_exported_metrics(rule):
    named = set(re.findall(r"\b(?:face_app|alertmanager|prometheus)_\w+|\bup\b", rule["expr"]))
    assert named
    assert named <= exported() | OTHERS | {"up"}
    assert rule["labels"]["severity"] in {"warning", "critical"}
    description = rule["annotations"]["description"]
    assert "\n" not in description
    assert len(description) < 250


def test_each_part_has_its_alarms():
    names = ["certificates", "cloud", "edge", "fleet", "monitoring"]
    assert [file.name for file in FILES] == [f"face-app-{name}.rules.yml" for name in names]
    assert len({rule["alert"] for rule in RULES}) == len(RULES) == 42


def test_the_operators_page_has_each_alarm():
    page = (ROOT / "docs/monitoring.md").read_text()
    assert re.findall(r"^\| `(FaceApp\w+)`", page, re.MULTILINE) == [rule["alert"] for rule in RULES]


@PROMTOOL
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_prometheus_accepts_them(file):
    subprocess.run(["promtool", "check", "rules", file], check=True)


@PROMTOOL
@pytest.mark.parametrize("end", ["edge", "cloud", "certificates", "fleet", "monitoring"])
def test_they_fire_on_their_condition(end):
    subprocess.run(["promtool", "test", "rules", Path(__file__).parent / f"alarms/{end}.yml"], check=True)


@pytest.mark.parametrize(
    "metric",
    [
        "face_app_capture_frame_age_seconds",
        "face_app_outbox_last_stored_age_seconds",
        "face_app_outbox_oldest_seconds",
        "face_app_sender_hop",
        "face_app_sender_resent_total",
        "face_app_sender_refused_total",
        "face_app_subscriber_last_stored_age_seconds",
        "face_app_subscriber_refused_total",
        "face_app_subscriber_store_seconds_bucket",
    ],
)
def test_exports_the_measurements_of_health(metric):
    assert metric in exported()


def test_exports_waiting_messages():
    registry = CollectorRegistry()
    connection = type("Connection", (), {"connected": True, "subscribed": False})()
    SubscriberMetrics(registry).connect({"cloud:8883": connection}, lambda: 3, lambda: 0, ())
    assert b"face_app_subscriber_waiting 3.0" in generate_latest(registry)
