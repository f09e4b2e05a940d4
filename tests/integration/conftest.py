"""Fixtures of several files: the brokers of both ends, and the settings of an edge that uses them."""

import pytest

from face_app.common.settings import EdgeSettings
from support.chain import EDGE, PASSWORD, make_brokers


@pytest.fixture
def brokers(tmp_path):
    made = make_brokers(tmp_path)
    for broker in made.values():
        broker.start()
    yield made
    for broker in made.values():
        broker.stop()


@pytest.fixture
def settings(brokers, tmp_path):
    (tmp_path / "password").write_text(PASSWORD)
    broker = {"host": "127.0.0.1", "port": brokers["edge"].port, "username": "face_app"}
    return EdgeSettings(
        edge=EDGE,
        camera={"name": "door"},
        outbox={"path": tmp_path / "edge-disk/outbox.db"},
        broker={**broker, "password_file": tmp_path / "password"},
    )
