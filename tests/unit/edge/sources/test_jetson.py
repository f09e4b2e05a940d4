"""A restart of the camera's daemon is asked for after two failures in a row, and not too often."""

import pytest

from face_app.edge.sources import jetson
from face_app.edge.sources.jetson import STEADY, Argus


@pytest.mark.parametrize(
    ("lives", "asked"),
    [([0], False), ([0, 0], True), ([5, 0], True), ([STEADY, STEADY, STEADY], False), ([STEADY, 0], True)],
    ids=["once", "no first frame twice", "lost at once again", "lost now and then", "lost, then no first frame"],
)
def test_two_failures_in_a_row(tmp_path, lives, asked):
    host = Argus(tmp_path / "restart")
    for lived in lives:
        assert not (tmp_path / "restart").exists()
        host.lost(lived)
    assert (tmp_path / "restart").exists() == asked


def test_it_is_asked_for_once_a_minute_at_most(tmp_path, monkeypatch):
    request = tmp_path / "restart"
    host = Argus(request)
    for _ in range(10):
        host.lost(0)
    request.unlink()
    host.lost(0)
    assert not request.exists()
    monkeypatch.setattr(jetson, "BETWEEN", 0)
    host.lost(0)
    assert request.exists()


@pytest.mark.parametrize("request_file", [None, "no/such/folder/restart"])
def test_without_a_host_that_listens_the_cure_is_logged(tmp_path, caplog, request_file):
    host = Argus(request_file and tmp_path / request_file)
    for _ in range(4):
        host.lost(0)
    assert caplog.text.count("sudo systemctl restart nvargus-daemon") == 1
