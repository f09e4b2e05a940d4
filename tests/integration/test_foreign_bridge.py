"""A bridge of another product that carries no receipts back is named as the cause."""

import pytest

from face_app.common.settings import EdgeSettings, OutboxFile
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.uplink.sender import Sender
from support.cloud import cloud as connected_cloud
from support.mosquitto import OPEN, mosquitto
from support.new_faces import new_face
from support.waiting import until


@pytest.mark.parametrize(
    ("link", "cause"),
    [
        ("direct", "check the subscriber; if a bridge forwards face_app/#, it must also carry receipts/# back"),
        ("bridged", "no forwarder reports its hops to broker "),
    ],
)
def test_a_bridge_without_receipts(tmp_path, link, cause):
    path = tmp_path / "outbox.db"
    with mosquitto() as far, connected_cloud(far) as cloud:
        bridge = ["connection bridge-01", f"address 127.0.0.1:{far.port}", "topic face_app/# both 0"]
        with mosquitto([*OPEN, *bridge]) as near, Outbox(OutboxFile(path=path)) as outbox:
            broker = {"host": "127.0.0.1", "port": near.port}
            settings = EdgeSettings(edge="jetson", outbox={"path": path}, broker=broker, sender={"link": link})
            with Sender(settings, outbox) as sender:
                outbox.append([new_face()])
                sender.wake()
                until(lambda: cause in sender.state.obstacle)
                cloud.wait_for(1)
                assert outbox.backlog()[0] == 1
