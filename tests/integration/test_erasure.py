"""Erasure through the whole chain: outbox and sender, Mosquitto, subscriber, SeaweedFS with versions."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import pytest
from prometheus_client import CollectorRegistry

from face_app.cloud.audit import audit
from face_app.cloud.audit.scope import Scope
from face_app.cloud.bucket import operations
from face_app.cloud.bucket.selection import parse_selection
from face_app.cloud.erasure import eraser as erasers
from face_app.cloud.erasure.eraser import Eraser, complete
from face_app.cloud.stores import open_store
from face_app.cloud.subscriber.consumer import Consumer
from face_app.cloud.subscriber.metrics import SubscriberMetrics
from face_app.common.ledger_file import open_ledgers, write_ledger
from face_app.common.settings import Broker, CloudSettings, EdgeSettings, Erasure, OutboxFile, Store
from face_app.edge.outbox import upkeep
from face_app.edge.outbox.export import export_ledger
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.uplink.sender import Sender
from support.mosquitto import mosquitto
from support.noise import noisy_new_face, traces
from support.s3 import ACCESS_KEY, SECRET_KEY, client
from support.seaweedfs import seaweedfs
from support.waiting import until

STALENESS = 3.0


@pytest.fixture(scope="module")
def server():
    with seaweedfs() as server:
        yield server


class Chain:
    """Both ends; each part can be absent for a while."""

    def __init__(self, server, broker, home, bucket):
        self.store = Store(kind="s3", bucket=bucket, endpoint=server.endpoint, credentials_file=server.credentials)
        self.client = client(server.endpoint)
        self.client.create_bucket(Bucket=bucket)
        self.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        self.broker = Broker(host="127.0.0.1", port=broker.port)
        self.home = home
        self.outbox = Outbox(OutboxFile(path=home / "outbox.db"))

    @contextmanager
    def subscribing(self) -> Iterator[Consumer]:
        settings = CloudSettings(store=self.store, broker=self.broker, erasure=Erasure(staleness=STALENESS))
        consumer = Consumer(settings, open_store(self.store), SubscriberMetrics(CollectorRegistry()))
        consumer.start()
        try:
            yield consumer
        finally:
            consumer.stop()

    @contextmanager
    def sending(self) -> Iterator[Sender]:
        settings = EdgeSettings(edge="jetson", outbox={"path": self.home / "outbox.db"}, broker=self.broker)
        with Sender(settings, self.outbox) as sender:
            yield sender

    def capture(self, *seeds):
        """Commit faces; return their images as the edge sends them, by sequence."""
        faces = self.outbox.append([noisy_new_face(seed) for seed in seeds])
        return {face.id.sequence: self.outbox.payloads([face.id.sequence])[face.id.sequence][1] for face in faces}

    def erase(self, selection):
        eraser = Eraser(self.store, Erasure(staleness=STALENESS))
        return complete(eraser, eraser.order([selection], by="ada"), stop=threading.Event())

    def audited(self):
        file = self.home / "ledger"
        with export_ledger(self.outbox, "jetson") as ledger, file.open("wb") as output:
            write_ledger(ledger, output)
        with open_ledgers([str(file)]) as ledgers:
            return audit.run(self.store, ledgers, Scope(), content=True)

    def left(self, images):
        """The sequences of the images of which a part is in any version of an object, or file of the outbox."""
        listed = self.client.list_object_versions(Bucket=self.store.bucket)
        assert not listed["IsTruncated"]
        objects = self.home / "objects"
        objects.mkdir(exist_ok=True)
        for old in objects.iterdir():
            old.unlink()
        for number, each in enumerate(listed.get("Versions", [])):
            which = {"Bucket": self.store.bucket, "Key": each["Key"], "VersionId": each["VersionId"]}
            (objects / str(number)).write_bytes(self.client.get_object(**which)["Body"].read())
        files = [*objects.iterdir(), *self.home.glob("outbox.db*")]
        return {number for number, image in images.items() if traces(image, files)}


@pytest.fixture
def chain(server, tmp_path, request, monkeypatch):
    monkeypatch.setattr(erasers, "SPARE_SECONDS", 0.0)
    monkeypatch.setattr(upkeep, "SCRUB_SECONDS", 1.0)
    bucket = f"faces-{abs(hash(request.node.name)) % 10**8}"
    with mosquitto() as broker:
        made = Chain(server, broker, tmp_path, bucket)
        with made.outbox:
            yield made


def now():
    return datetime.now(timezone.utc)


def test_a_range_is_erased_at_both_ends_although_the_edge_was_offline(chain):
    with chain.subscribing():
        with chain.sending() as sender:
            images = chain.capture(1, 2, 3)
            sender.wake()
            until(lambda: chain.outbox.run_counts().stored == 3)
        images |= chain.capture(4, 5)  # the edge is offline now
        time.sleep(1.1)  # the end of the range has whole seconds
        erased = chain.erase(parse_selection({"edge": "jetson", "to": now().replace(microsecond=0).isoformat()}))
        assert len(erased.keys) == 3
        assert chain.audited().faults == {}
        assert {4, 5} <= chain.left(images) <= {1, 2, 3, 4, 5}
        with chain.sending() as sender:
            later = chain.capture(6)
            sender.wake()
            until(lambda: chain.outbox.backlog()[0] == 0)
            counts = chain.outbox.run_counts()
            assert (counts.erased, counts.stored) == (2, 4)
            until(lambda: chain.left(images) == set())
        assert chain.left(later) == {6}
    report = chain.audited()
    assert report.faults == {}
    totals = report.counts()
    assert (totals["captured"], totals["erased"], totals["stored"], totals["missing"]) == (6, 5, 1, 0)


def test_a_face_that_a_stale_subscriber_stored_is_erased_by_the_second_pass(chain):
    with chain.subscribing() as consumer, chain.sending() as sender:
        until(lambda: consumer.health().ready)
        listed_at = consumer._erasures._listed_at
        until(lambda: consumer._erasures._listed_at != listed_at)
        eraser = Eraser(chain.store, Erasure(staleness=STALENESS))
        captured_until = now() + timedelta(minutes=1)
        selection = parse_selection({"edge": "jetson", "to": captured_until.isoformat()})
        ordered = eraser.order([selection], by="ada")
        images = chain.capture(1, 2)  # the subscriber does not know the tombstone yet
        sender.wake()
        until(lambda: chain.outbox.backlog()[0] == 0)
        complete(eraser, ordered, stop=threading.Event())
        until(lambda: chain.left(images) == set())
    report = chain.audited()
    assert report.faults == {}
    assert report.counts()["erased"] == 2


def test_a_subscriber_without_the_bucket_stores_nothing_before_it_knows_the_tombstones(chain, server):
    images = chain.capture(1)
    time.sleep(1.1)
    chain.erase(parse_selection({"edge": "jetson", "to": now().replace(microsecond=0).isoformat()}))
    with chain.subscribing(), chain.sending():
        until(lambda: chain.outbox.run_counts().erased == 1)
        until(lambda: chain.left(images) == set())
    assert chain.audited().faults == {}


def copy_bucket(endpoint: str, old: str, new: str) -> None:
    """Copy and compare all objects, as docs/fleet.md describes."""
    values = {"type": "s3", "provider": "Other", "endpoint": endpoint}
    keys = {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY}
    remotes = {
        f"RCLONE_CONFIG_{remote}_{name}".upper(): value
        for remote in ("old", "new")
        for name, value in {**values, **keys}.items()
    }
    # rclone reads those of AWS too.
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = {**own, **remotes, "RCLONE_CONFIG": "/dev/null"}
    for command in (["copy", "--checksum", "--metadata"], ["check", "--one-way"]):
        subprocess.run(["rclone", *command, f"old:{old}", f"new:{new}"], check=True, env=environment)


@pytest.mark.full
@pytest.mark.skipif(not shutil.which("rclone"), reason="needs rclone")
def test_a_moved_bucket_balances(chain, server):
    with chain.subscribing(), chain.sending() as sender:
        images = chain.capture(1, 2, 3)
        sender.wake()
        until(lambda: chain.outbox.backlog()[0] == 0)
        time.sleep(1.1)
        chain.erase(parse_selection({"edge": "jetson", "to": now().replace(microsecond=0).isoformat()}))
        kept = chain.capture(4, 5)
        sender.wake()
        until(lambda: chain.outbox.backlog()[0] == 0)
    waiting = chain.capture(6)  # while no subscriber runs
    old, new = chain.store.bucket, f"{chain.store.bucket}-moved"
    before = set(operations.keys(chain.store, ""))
    chain.client.create_bucket(Bucket=new)
    copy_bucket(server.endpoint, old, new)
    chain.store = chain.store.model_copy(update={"bucket": new})
    assert set(operations.keys(chain.store, "")) == before
    assert any(key.startswith("erased/") for key in before)
    with chain.subscribing(), chain.sending():
        until(lambda: chain.outbox.backlog()[0] == 0)
    report = chain.audited()
    totals = report.counts()
    assert (report.faults, report.unproven) == ({}, ())
    assert (totals["captured"], totals["erased"], totals["stored"]) == (6, 3, 3)
    assert chain.left(images | kept | waiting) == {4, 5, 6}
