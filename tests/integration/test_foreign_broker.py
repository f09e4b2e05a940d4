"""An MQTT 5 broker that no role configured stands in for the cloud's, with the rights in docs/several-clouds.md."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from face_app.cloud.stores import open_store
from face_app.cloud.subscriber.consumer import Consumer
from face_app.cloud.subscriber.metrics import SubscriberMetrics
from face_app.common.settings import CloudSettings, EdgeSettings, OutboxFile, Store
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.uplink.sender import Sender
from support.authority import Authority
from support.brokers import configure_forwarder
from support.chain import EDGE, PASSWORD, make_brokers
from support.new_faces import new_face
from support.waiting import until

PAGE = Path(__file__).parents[2] / "docs/several-clouds.md"
# Nothing as our role has it: another CA, a listener of its own for local tools, a database, small windows.
CONFIGURATION = """
user root
per_listener_settings true
persistence true
persistence_location {folder}/
autosave_interval 5
max_inflight_messages 20
max_queued_messages 1000
retain_available true
sys_interval 60

listener {port} 127.0.0.1
cafile {folder}/ca.crt
certfile {foreign}/broker.crt
keyfile {foreign}/broker.key
require_certificate true
use_identity_as_username true
acl_file {folder}/acl

listener 0 {folder}/local.socket
allow_anonymous true
"""


def documented_rights() -> str:
    """Read the access list that the page gives operators."""
    (block,) = re.findall(r"```acl\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(block)


def test_faces_pass_a_broker_of_foreign_configuration(tmp_path):
    brokers = make_brokers(tmp_path)
    cloud, forwarder = brokers["cloud"], brokers["forwarder"]
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    authority = Authority(foreign, "another authority")
    authority.issue("broker", usage="server")
    (cloud.folder / "mosquitto.conf").write_text(
        CONFIGURATION.format(folder=cloud.folder, foreign=foreign, port=cloud.port)
    )
    (cloud.folder / "acl").write_text(documented_rights())
    (forwarder.folder / "cloud_ca.crt").write_bytes((foreign / "ca.crt").read_bytes())
    address = [f"127.0.0.1:{cloud.port}"]
    configure_forwarder(
        forwarder, EDGE, PASSWORD, edge_port=brokers["edge"].port, cloud=address, ca_file="cloud_ca.crt"
    )
    (tmp_path / "password").write_text(PASSWORD)
    near = {"host": "127.0.0.1", "port": brokers["edge"].port, "username": "face_app"}
    edge = EdgeSettings(
        edge=EDGE,
        outbox={"path": tmp_path / "outbox.db"},
        sender={"link": "bridged"},
        broker={**near, "password_file": tmp_path / "password"},
    )
    far = {"host": "127.0.0.1", "port": cloud.port, "ca_file": foreign / "ca.crt"}
    keys = {"cert_file": cloud.folder / "subscriber-1.crt", "key_file": cloud.folder / "subscriber-1.key"}
    (tmp_path / "store").mkdir()
    store = Store(kind="directory", path=tmp_path / "store")
    settings = CloudSettings(store=store, brokers=[{**far, **keys}])
    consumer = Consumer(settings, open_store(store), SubscriberMetrics(CollectorRegistry()))
    try:
        for broker in brokers.values():
            broker.start()
        consumer.start()
        with Outbox(OutboxFile(path=edge.outbox.path)) as outbox, Sender(edge, outbox) as sender:
            outbox.append([new_face() for _ in range(30)])
            sender.wake()
            until(lambda: outbox.run_counts().stored == 30)
            cloud.kill()
            outbox.append([new_face() for _ in range(5)])
            sender.wake()
            cloud.start()
            until(lambda: outbox.run_counts().stored == 35)
        assert len(list((tmp_path / "store" / EDGE).rglob("*.jpg"))) == 35
    finally:
        consumer.stop()
        for broker in brokers.values():
            broker.stop()
