"""The gallery ends cleanly, whatever ends it."""

import signal
import socket
import threading
from pathlib import Path

import pytest
import uvicorn
from prometheus_client import CollectorRegistry

from face_app.cloud.gallery import serve
from face_app.cloud.gallery.feed import Feed
from face_app.cloud.gallery.gallery import Gallery
from face_app.common.errors import FaceAppError, SettingsError
from face_app.common.settings import Broker, GallerySettings, Metrics, Store
from support.ports import free_port


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GallerySettings:
    monkeypatch.setattr(serve, "REGISTRY", CollectorRegistry())
    (tmp_path / "bucket").mkdir()
    return GallerySettings(
        store=Store(kind="directory", path=tmp_path / "bucket"),
        broker=Broker(host="127.0.0.1", port=1),
        index=tmp_path / "gallery.db",
        port=free_port(),
        metrics=Metrics(port=None),
    )


def raises(error: BaseException):
    def fail(*_: object) -> None:
        raise error

    return fail


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()} & {"feed", "fill"}


ENDS = pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(128 + signal.SIGTERM)])


@ENDS
def test_a_signal_during_the_start_stops_what_was_started(settings, monkeypatch, end):
    monkeypatch.setattr(Feed, "start", raises(end))
    serve.run(settings)
    assert threads() == set()


@ENDS
def test_a_signal_hides_no_failure(settings, monkeypatch, end):
    monkeypatch.setattr(uvicorn.Server, "run", raises(end))
    monkeypatch.setattr(Gallery, "failure", "the index is damaged")
    with pytest.raises(FaceAppError, match="the index is damaged"):
        serve.run(settings)


def test_a_port_in_use_is_a_wrong_setting_with_the_cause(settings):
    with (
        socket.create_server(("127.0.0.1", settings.port)),
        pytest.raises(SettingsError, match=rf"^port = {settings.port}: cannot listen: .*[Aa]ddress already in use"),
    ):
        serve.run(settings)
    assert threads() == set()


def test_another_failed_start_is_no_wrong_setting(settings, monkeypatch):
    monkeypatch.setattr(uvicorn.Server, "run", raises(SystemExit(3)))
    with pytest.raises(SystemExit):
        serve.run(settings)
