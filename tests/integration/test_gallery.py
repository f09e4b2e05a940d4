"""The gallery as a process: a real broker, a real S3 store, real connections."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx2
import paho.mqtt.publish
import pytest

from face_app.cloud.gallery.access.users import hash_password
from face_app.common.settings import Store
from support.authority import Authority
from support.chain import Chain, chain
from support.faces import DrawnFace
from support.gallery import RunningGallery, publish_receipt, running_gallery, settings_text
from support.mosquitto import mosquitto
from support.portraits import portrait
from support.ports import free_port, free_ports
from support.s3 import client as s3_client
from support.seaweedfs import MISSING, SeaweedFS, seaweedfs, weed

CLIPS = Path(__file__).parents[2] / ".cache/media"
PASSWORD = "correct horse battery"

pytestmark = pytest.mark.skipif(not weed(), reason=MISSING)


@pytest.fixture(scope="module")
def server() -> Iterator[SeaweedFS]:
    with seaweedfs() as running:
        yield running


@pytest.fixture
def store(server: SeaweedFS, tmp_path: Path) -> Store:
    bucket = f"faces-{free_port()}"
    s3_client(server.endpoint).create_bucket(Bucket=bucket)
    return Store(kind="s3", bucket=bucket, endpoint=server.endpoint, credentials_file=server.credentials)


def put(store: Store, *faces: DrawnFace) -> None:
    assert store.endpoint
    s3 = s3_client(store.endpoint)
    for face in faces:
        s3.put_object(Bucket=store.bucket, Key=face.key, Body=face.payload)


def recent(count: int) -> list[DrawnFace]:
    now = datetime.now(timezone.utc)
    return [portrait(number, now - timedelta(minutes=count - number), track=number) for number in range(1, count + 1)]


def test_a_receipt_brings_a_face_at_once(store, tmp_path):
    first, second = recent(2)
    put(store, first)
    with mosquitto() as broker, running_gallery(tmp_path, store, broker.port) as gallery:
        assert gallery.listed().keys() == [first.key]
        put(store, second)
        publish_receipt(broker.port, second)
        gallery.wait_for(lambda gallery: gallery.keys() == [second.key, first.key])
        assert gallery.client.get(f"/image/{second.key}").content == second.payload


def test_watchers_hear_of_a_face(store, tmp_path):
    first, second = recent(2)
    put(store, first)
    with mosquitto() as broker, running_gallery(tmp_path, store, broker.port) as gallery:
        gallery.listed().wait_for(lambda gallery: not gallery.api("state")["notices"])
        put(store, second)
        with gallery.client.stream("GET", "/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.iter_lines()
            assert next(lines) == "retry: 2000"
            publish_receipt(broker.port, second)
            data = next(json.loads(line[5:]) for line in lines if line.startswith("data:") and second.key in line)
    assert data == {"faces": 1, "keys": [second.key]}


def test_a_forged_or_broken_receipt_harms_nothing(store, tmp_path):
    (face,) = recent(1)
    with mosquitto() as broker, running_gallery(tmp_path, store, broker.port) as gallery:
        gallery.listed().wait_for(lambda gallery: not gallery.api("state")["notices"])
        for payload in (b"", b"{", b"[" * 100_000, b'[{"key": 5}]', os.urandom(500)):
            paho.mqtt.publish.single("receipts/x/y", payload, qos=1, hostname="127.0.0.1", port=broker.port)
        publish_receipt(broker.port, face)  # the bucket has no such object
        gallery.wait_for(lambda gallery: gallery.api("hours")["hours"])
        assert gallery.keys() == []
        assert gallery.api("hours")["hours"] == {}
        put(store, face)
        publish_receipt(broker.port, face)
        gallery.wait_for(lambda gallery: gallery.keys() == [face.key])


def test_a_broker_that_was_away_costs_no_face(store, tmp_path):
    """The receipt of the second face is lost; the connection starts a listing of the last days."""
    first, second = recent(2)
    put(store, first)
    port = free_port()
    with running_gallery(tmp_path, store, port) as gallery:
        gallery.listed()
        assert "No live news" in gallery.client.get("/").text
        put(store, second)
        with mosquitto(port=port):
            gallery.wait_for(lambda gallery: gallery.keys() == [second.key, first.key])
            gallery.wait_for(lambda gallery: not gallery.api("state")["notices"])
        gallery.wait_for(lambda gallery: gallery.api("state")["notices"])


def test_a_store_that_was_killed_is_named_and_comes_back(tmp_path):
    faces = recent(3)
    ports, folder = free_ports(10), tmp_path / "weed"
    folder.mkdir()
    with mosquitto() as broker:
        with seaweedfs(folder=folder, ports=ports) as server:
            store = Store(kind="s3", endpoint=server.endpoint, credentials_file=server.credentials)
            s3_client(server.endpoint).create_bucket(Bucket=store.bucket)
            put(store, *faces)
            with running_gallery(tmp_path, store, broker.port, relist_minutes=0.02) as gallery:
                gallery.listed()
        with running_gallery(tmp_path, store, broker.port, relist_minutes=0.02) as gallery:
            gallery.wait_for(lambda gallery: "bucket" in [each["what"] for each in gallery.api("state")["notices"]])
            page = gallery.client.get("/")
            assert "The bucket does not answer" in page.text
            assert gallery.client.get(f"/image/{faces[0].key}").status_code == 503
            with seaweedfs(folder=folder, ports=ports):
                gallery.wait_for(lambda gallery: not gallery.api("state")["notices"])
                assert gallery.keys() == [face.key for face in reversed(faces)]
                # Its listing answers before its volumes do.
                gallery.wait_for(lambda gallery: gallery.client.get(f"/image/{faces[0].key}").status_code == 200)
                assert gallery.client.get(f"/image/{faces[0].key}").content == faces[0].payload


def test_health_is_that_of_the_other_programs(store, tmp_path):
    port = free_port()
    with mosquitto() as broker, running_gallery(tmp_path, store, broker.port, metrics={"port": port}) as gallery:
        gallery.listed().wait_for(lambda _: httpx2.get(f"http://127.0.0.1:{port}/ready").status_code == 200)
        health = httpx2.get(f"http://127.0.0.1:{port}/ready").json()
        assert health["capabilities"] == ["objects", "receipts"]
        broker.process.terminate()
        gallery.wait_for(lambda _: httpx2.get(f"http://127.0.0.1:{port}/ready").status_code == 503)
        assert httpx2.get(f"http://127.0.0.1:{port}/live").status_code == 200


def test_published_with_tls_and_a_login(store, tmp_path):
    (face,) = recent(1)
    put(store, face)
    authority = Authority(tmp_path)
    authority.issue("gallery", usage="server")
    users = {"users": [{"name": "ada", "role": "admin", "password": hash_password(PASSWORD)}]}
    (tmp_path / "users.json").write_text(json.dumps(users))
    settings = {
        "host": "0.0.0.0",
        "users_file": str(tmp_path / "users.json"),
        "access_log": str(tmp_path / "access.log"),
        "cert_file": str(tmp_path / "gallery.crt"),
        "key_file": str(tmp_path / "gallery.key"),
    }
    with (
        mosquitto() as broker,
        running_gallery(tmp_path, store, broker.port, tls=tmp_path / "ca.crt", **settings) as gallery,
    ):
        client = gallery.client
        assert client.get(f"/image/{face.key}").status_code == 401
        headers = {"Origin": gallery.address}
        answer = client.post("/login", data={"user": "ada", "password": "wrong"}, headers=headers)
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        answer = client.post("/login", data={"user": "ada", "password": PASSWORD}, headers=headers)
        assert answer.status_code == 303
        assert "Secure" in answer.headers["set-cookie"]
        assert answer.headers["strict-transport-security"]
        assert client.get(f"/image/{face.key}").content == face.payload
        port = int(gallery.address.rpartition(":")[2])
        with pytest.raises(httpx2.HTTPError):
            httpx2.get(f"http://localhost:{port}/", timeout=20)
    lines = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    assert [(line["user"], line["action"], line["address"]) for line in lines] == [
        ("ada", "refused", "127.0.0.1"),
        ("ada", "login", "127.0.0.1"),
        ("ada", "view", "127.0.0.1"),
    ]


def test_by_default_no_other_machine_reaches_it(store, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        outside = probe.getsockname()[0]
    if outside.startswith("127."):
        pytest.skip("this machine has no address but the loopback")
    with mosquitto() as broker, running_gallery(tmp_path, store, broker.port) as gallery, socket.socket() as outsider:
        port = int(gallery.address.rpartition(":")[2])
        assert outsider.connect_ex((outside, port)) != 0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"host": "0.0.0.0"}, "set cert_file, key_file and users_file"),
        ({"host": "0.0.0.0", "cert_file": "/x", "key_file": "/x"}, "set cert_file, key_file and users_file"),
        ({"cert_file": "/x"}, "cert_file and key_file belong together"),
        ({"users_file": "/nonexistent"}, "users_file /nonexistent"),
        ({"cert_file": "/nonexistent", "key_file": "/nonexistent"}, "check cert_file and key_file"),
        ({"timezone": "Mars/Olympus"}, "not a time zone"),
        ({"port": 1, "host": "192.0.2.1", "cert_file": "/x", "key_file": "/x", "users_file": "/x"}, "users_file /x"),
    ],
)
def test_wrong_settings_end_with_one_line(store, tmp_path, values, expected):
    config = tmp_path / "gallery.toml"
    config.write_text(settings_text(store, index=str(tmp_path / "index.db"), **{"port": free_port(), **values}))
    done = subprocess.run(
        [sys.executable, "-m", "face_app", "gallery", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
    )
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_although_somebody_watches(store, tmp_path, number):
    with (
        mosquitto() as broker,
        running_gallery(tmp_path, store, broker.port) as gallery,
        gallery.client.stream("GET", "/events") as stream,
    ):
        next(stream.iter_lines())
        gallery.process.send_signal(number)
        assert gallery.process.wait(30) == 0


def test_parallel_readers_and_a_listing_do_not_block_each_other(store, tmp_path):
    put(store, *recent(40))
    with mosquitto() as broker, running_gallery(tmp_path, store, broker.port, relist_minutes=0.02, page=10) as gallery:
        gallery.listed()
        failures = []

        def read() -> None:
            with httpx2.Client(base_url=gallery.address, timeout=60) as client:
                answers = [client.get(path).status_code for path in ("/", "/edges", "/ledgers", "/api/faces") * 5]
                failures.extend(code for code in answers if code != 200)

        readers = [threading.Thread(target=read) for _ in range(8)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert failures == []


def test_a_broken_object_in_the_bucket_is_shown_as_unreadable(store, tmp_path):
    broken, whole = recent(2)
    put(store, whole)
    assert store.endpoint
    s3 = s3_client(store.endpoint)
    with mosquitto() as broker, running_gallery(tmp_path, store, broker.port) as gallery:
        for content in (b"", b"no picture", whole.payload[:200], whole.payload[:-900]):
            s3.put_object(Bucket=store.bucket, Key=broken.key, Body=content)
            publish_receipt(broker.port, broken)
            gallery.listed().wait_for(lambda gallery: {broken.key, whole.key} == set(gallery.keys()))
            for path in ("/", f"/face/{broken.key}", "/ledgers", f"/api/faces/{broken.key}"):
                assert gallery.client.get(path).status_code == 200, (content[:20], path)
    assert "Traceback" not in gallery.log.read_text()


def test_the_clock_of_an_edge_that_is_wrong_is_named_and_its_faces_are_shown(store, tmp_path):
    now = datetime.now(timezone.utc)
    ahead, late = portrait(1, now + timedelta(hours=5), track=1), portrait(2, now - timedelta(days=9000), track=2)
    put(store, ahead, late)
    state = {"state": "online", "problem": "", "at": ahead.metadata.captured_at.isoformat()}
    with mosquitto() as broker, running_gallery(tmp_path, store, broker.port) as gallery:
        gallery.listed().wait_for(lambda gallery: not gallery.api("state")["notices"])
        assert gallery.keys() == [ahead.key, late.key]
        topic, document = "status/jetson/door", json.dumps(state)
        paho.mqtt.publish.single(topic, document, qos=1, hostname="127.0.0.1", port=broker.port)
        (camera,) = gallery.wait_for(lambda gallery: gallery.api("edges")["cameras"])
        assert camera["condition"] == "ready"
        assert camera["clock_error"] == pytest.approx(5 * 3600, abs=600)
        assert "5 h ahead" in gallery.client.get("/edges").text


@pytest.mark.root
@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/fuse").exists(), reason="mounts a bucket: needs root and /dev/fuse"
)
def test_the_whole_chain_ends_in_the_gallery(server, tmp_path):
    """Real clips; the gallery's own certificate, which may read receipts and states and nothing else."""
    home = tmp_path / "chain"
    home.mkdir()
    with chain(home, server, f"faces-{free_port()}") as both_ends:
        cloud = both_ends.brokers["cloud"]
        identity = {name: str(cloud.folder / f"gallery.{suffix}") for name, suffix in IDENTITY.items()}
        broker = {"host": "127.0.0.1", "port": cloud.port, "ca_file": str(cloud.folder / "ca.crt"), **identity}
        with running_gallery(tmp_path, both_ends.store, cloud.port, broker=broker) as gallery:
            gallery.listed().wait_for(lambda gallery: not gallery.api("state")["notices"])
            assert_shows_what_is_captured(both_ends, gallery)


IDENTITY = {"cert_file": "crt", "key_file": "key"}


def assert_shows_what_is_captured(both_ends: Chain, gallery: RunningGallery) -> None:
    summary = both_ends.capture(CLIPS / "clips")
    captured = {face["key"] for face in summary["faces"]}
    gallery.wait_for(lambda gallery: set(gallery.keys()) == captured)
    faces = gallery.api("faces")["faces"]
    assert [face["at"] for face in faces] == sorted((face["at"] for face in faces), reverse=True)
    visits = {face["visit"] for face in faces}
    assert len(visits) == len({(face["edge"], face["metadata"]["visit"]) for face in faces})
    assert all(visit.startswith("jetson/") for visit in visits)
    (camera,) = gallery.api("edges")["cameras"]
    assert camera["state"]["faces"] == len(captured)
    (outbox,) = gallery.api("ledgers")["outboxes"]
    assert (outbox["stored"], outbox["missing"]) == (len(captured), 0)
