"""A restart of the camera's daemon is requested after two failures in a row, at most once a minute."""

import pytest

from face_app.edge.sources import jetson
from face_app.edge.sources.jetson import STABLE_SECONDS, ArgusMonitor


@pytest.mark.parametrize(
    ("losses", "requested"),
    [
        ([0], False),
        ([0, 0], True),
        ([5, 0], True),
        ([STABLE_SECONDS, STABLE_SECONDS, STABLE_SECONDS], False),
        ([STABLE_SECONDS, 0], True),
    ],
    ids=["once", "no first frame twice", "lost at once again", "lost now and then", "lost, then no first frame"],
)
def test_requests_a_restart_after_two_failures_in_a_row(tmp_path, losses, requested):
    monitor = ArgusMonitor(tmp_path / "restart")
    for seconds in losses:
        assert not (tmp_path / "restart").exists()
        monitor.record_loss(seconds)
    assert (tmp_path / "restart").exists() == requested


def test_requests_at_most_one_restart_a_minute(tmp_path, monkeypatch):
    request = tmp_path / "restart"
    monitor = ArgusMonitor(request)
    for _ in range(10):
        monitor.record_loss(0)
    request.unlink()
    monitor.record_loss(0)
    assert not request.exists()
    monkeypatch.setattr(jetson, "MIN_REQUEST_INTERVAL", 0)
    monitor.record_loss(0)
    assert request.exists()


@pytest.mark.parametrize("request_file", [None, "no/such/folder/restart"])
def test_logs_the_remedy_without_a_request_file(tmp_path, caplog, request_file):
    monitor = ArgusMonitor(request_file and tmp_path / request_file)
    for _ in range(4):
        monitor.record_loss(0)
    assert caplog.text.count("sudo systemctl restart nvargus-daemon") == 1
