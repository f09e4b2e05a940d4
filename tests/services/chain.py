"""Both ends as processes: three brokers with the roles' own configurations, the store, and the two programs."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import yaml

from face_app.cloud import bucket
from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.metadata import read_image
from face_app.settings import Store
from services.authority import Authority
from services.ports import free_ports, wait_for_port
from services.processes import process
from services.s3fs import S3fs, s3fs_mount
from services.seaweedfs import SeaweedFS

ROLES = Path(__file__).parents[2] / "roles"
PLUGINS = Path(__file__).parents[2] / "plugins/filter"
EDGE, PASSWORD = "jetson", "only-for-tests"


def rendered(role: str, template: str, variables: dict[str, Any]) -> str:
    """Render a role's template with its defaults, as Ansible would."""
    sys.path.insert(0, str(PLUGINS))
    try:
        from mosquitto import mosquitto_password
    finally:
        sys.path.remove(str(PLUGINS))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLES / role / "templates"), trim_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"comment": lambda text: f"# {text}", "mosquitto_password": mosquitto_password}
    files = [ROLES / role / "defaults/main.yml", ROLES / role / "vars/main.yml"]
    values = {key: value for file in files for key, value in (yaml.safe_load(file.read_text()) or {}).items()}
    return environment.get_template(template).render(
        values | {"ansible_managed": "test", "inventory_hostname": EDGE} | variables
    )


@dataclass
class Broker:
    """One Mosquitto that can be stopped or killed, and started again on the same port."""

    name: str
    folder: Path
    port: int
    _running: ExitStack = field(default_factory=ExitStack)
    _process: subprocess.Popen[bytes] | None = None

    def write(self, role: str, template: str, variables: dict[str, Any], changes: dict[str, str]) -> None:
        text = rendered(role, template, variables | {f"__{role}_config": str(self.folder)})
        for before, after in changes.items():
            assert before in text, f"{template} has no {before!r}"
            text = text.replace(before, after)
        # Started by root it would become the user mosquitto, who cannot read the test's folder.
        name = "mosquitto.conf" if "conf" in template else Path(template).stem
        (self.folder / name).write_text(("user root\n" if "conf" in template else "") + text)

    def start(self) -> None:
        log = self.folder / "log"
        self._process = self._running.enter_context(process(["mosquitto", "-c", self.folder / "mosquitto.conf"], log))
        wait_for_port(self.port, self._process)

    def stop(self) -> None:
        self._running.close()

    def kill(self) -> None:
        """End it as a power cut does: it writes nothing any more."""
        assert self._process
        self._process.kill()
        self._process.wait()
        self.stop()


@dataclass
class Chain:
    """A running chain.

    Attributes:
        brokers: ``edge``, ``forwarder``, ``cloud``.
        store: The bucket, as its subscriber sees it.
        mount: The s3fs mount.
        home: Where logs, outbox and settings are.
    """

    brokers: dict[str, Broker]
    store: Store
    mount: S3fs
    home: Path

    def capture(self, source: Path, *arguments: str, wait: float = 60) -> dict[str, Any]:
        """Run `face-app capture` to its end and read its summary."""
        command = [sys.executable, "-m", "face_app", "capture", "--config", self.home / "edge.toml", "--json"]
        command += ["--source", source, "--pace", "fast", "--wait", str(wait), *arguments]
        done = subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True, timeout=240)
        assert done.stdout, done.stderr
        summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return summary

    @contextmanager
    def capturing(self, source: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run `face-app capture` beside the test."""
        command = [sys.executable, "-m", "face_app", "capture", "--config", self.home / "edge.toml"]
        command += ["--source", source, "--pace", "fast", *arguments]
        with process(command, self.home / "capture.log", env=dict(os.environ)) as running:
            yield running

    def send(self) -> None:
        """Send what waits, until nothing does."""
        command = [sys.executable, "-m", "face_app", "send", "--config", str(self.home / "edge.toml"), "--until-empty"]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    def committed(self) -> dict[str, str]:
        """Every face that was ever committed at the edge: from its id to its SHA-256, as the outbox has them."""
        if not (self.home / "outbox.db").exists():
            return {}
        with closing(sqlite3.connect(self.home / "outbox.db")) as outbox:
            return dict(outbox.execute("SELECT id, sha256 FROM faces").fetchall())

    def stored(self) -> dict[str, str]:
        """Every face in the bucket: from the id inside its file to the SHA-256 of its bytes."""
        objects = S3Bucket(self.store)
        files = [objects.get(key) for key in self.keys()]
        found = [(read_image(file, max_pixels=10_000_000).metadata, file) for file in files if file]
        assert len(found) == len(files)
        ids = {str(metadata.id): hashlib.sha256(file).hexdigest() for metadata, file in found if metadata}
        assert len(ids) == len(files), "an object without a story, or a face in two objects"
        return ids

    def keys(self) -> set[str]:
        """All objects in the bucket."""
        return set(bucket.keys(self.store, ""))


@contextmanager
def chain(home: Path, server: SeaweedFS, bucket_name: str) -> Iterator[Chain]:
    """Start everything but the camera.

    Args:
        home: An empty folder.
        server: Where the bucket will be.
        bucket_name: Not there yet.
    """
    edge_port, forwarder_port, cloud_port = free_ports(3)
    brokers = {
        name: Broker(name, home / name, port)
        for name, port in [("edge", edge_port), ("forwarder", forwarder_port), ("cloud", cloud_port)]
    }
    for broker in brokers.values():
        broker.folder.mkdir()
    _configure(brokers)
    _settings(home, brokers, server, bucket_name)
    store = Store(kind="s3", bucket=bucket_name, endpoint=server.endpoint, credentials_file=server.credentials)
    bucket.ensure(store, check=False)
    (home / "mount").mkdir()
    with ExitStack() as stack:
        mount = stack.enter_context(s3fs_mount(server, bucket_name, home / "mount", log=home / "s3fs.log"))
        for broker in brokers.values():
            stack.callback(broker.stop)
            broker.start()
        subscribe = [sys.executable, "-m", "face_app", "subscribe", "--config", home / "cloud.toml"]
        stack.enter_context(process(subscribe, home / "subscribe.log", env=dict(os.environ)))
        yield Chain(brokers, store, mount, home)


def _configure(brokers: dict[str, Broker]) -> None:
    edge, forwarder, cloud = brokers["edge"], brokers["forwarder"], brokers["cloud"]
    authority = Authority(cloud.folder)
    for name in ("cloud-broker", "health", "subscriber-1", EDGE):
        authority.issue(name)
    for name in ("ca.crt", f"{EDGE}.crt", f"{EDGE}.key"):
        (forwarder.folder / name).write_bytes((cloud.folder / name).read_bytes())
    bridge = yaml.safe_load((ROLES / "edge_broker/vars/main.yml").read_text())["__edge_broker_bridge"]
    values = {
        "edge_broker_edge": EDGE,
        "edge_broker_password": PASSWORD,
        "edge_broker_forwarder_password": PASSWORD,
        "edge_broker_container": "127.0.0.1",
        "edge_broker_cloud_address": "127.0.0.1",
        "edge_broker_cloud_port": cloud.port,
        "__edge_broker_machine_name": "0badcafe",
        # Quicker than on a real link, so that tests need not wait for a reconnect.
        "__edge_broker_bridge": bridge.replace("restart_timeout 1 30", "restart_timeout 1 2"),
    }
    edge.write("edge_broker", "broker/mosquitto.conf.j2", values, {"listener 1883": f"listener {edge.port} 127.0.0.1"})
    edge.write("edge_broker", "broker/acl.j2", values, {})
    edge.write("edge_broker", "broker/passwd.j2", values, {})
    forwarder.write(
        "edge_broker",
        "forwarder/mosquitto.conf.j2",
        values,
        {"listener 1883": f"listener {forwarder.port}", "127.0.0.1:1883": f"127.0.0.1:{edge.port}"},
    )
    values = {"cloud_broker_subscribers": ["subscriber-1"]}
    cloud.write(
        "cloud_broker",
        "mosquitto.conf.j2",
        values,
        {"listener 8883": f"listener {cloud.port} 127.0.0.1", "/mosquitto/data/": f"{cloud.folder}/"},
    )
    cloud.write("cloud_broker", "acl.j2", values, {})


def _settings(home: Path, brokers: dict[str, Broker], server: SeaweedFS, bucket_name: str) -> None:
    (home / "password").write_text(PASSWORD)
    (home / "edge.toml").write_text(
        f'edge = "{EDGE}"\n'
        f'[outbox]\npath = "{home}/outbox.db"\n'
        '[sender]\nlink = "bridged"\nresend_after = 2\n'
        f'[broker]\nport = {brokers["edge"].port}\nusername = "face_app"\npassword_file = "{home}/password"\n'
    )
    cloud = brokers["cloud"]
    (home / "cloud.toml").write_text(
        f'[store]\nkind = "mount"\npath = "{home}/mount"\nbucket = "{bucket_name}"\nendpoint = "{server.endpoint}"\n'
        f'credentials_file = "{server.credentials}"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {cloud.port}\nca_file = "{cloud.folder}/ca.crt"\n'
        f'cert_file = "{cloud.folder}/subscriber-1.crt"\nkey_file = "{cloud.folder}/subscriber-1.key"\n'
    )
