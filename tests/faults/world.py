"""Runs both ends as processes that can be killed or cut off, with a store that fails on demand."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from face_app.cloud.bucket import operations
from face_app.cloud.bucket.mark_object import MARKS
from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.common.settings import Store
from faults.program import Program
from faults.store_proxy import StoreProxy, store_proxy
from support.brokers import Broker
from support.chain import EDGE, PASSWORD, make_brokers
from support.ports import free_port, free_ports
from support.s3fs import mounted, s3fs_command
from support.seaweedfs import seaweedfs

BUCKET = "face-app"
Kind = Literal["s3", "mount"]
READERS = 8
AUDIT_SECONDS = 1800


@dataclass
class World:
    """Represents a running chain.

    Attributes:
        home: Folder with settings, logs, outboxes and objects.
        kind: Kind of the store.
        programs: Every process that can be killed, by name.
        proxy: Proxy between the subscribers and the store.
        store: The bucket, without the proxy.
        cloud_port: Port of the cloud's broker.
        outboxes: Outbox files of the cameras.
        restart_store: Restarts the store with its data.
    """

    home: Path
    kind: Kind
    programs: dict[str, Program]
    proxy: StoreProxy
    store: Store
    cloud_port: int
    outboxes: list[Path]
    restart_store: Callable[[], None]
    _cut: bool = field(default=False)

    def __getitem__(self, name: str) -> Program:
        return self.programs[name]

    @property
    def cameras(self) -> list[Program]:
        return [program for name, program in self.programs.items() if name.startswith("camera")]

    @property
    def subscribers(self) -> list[Program]:
        return [program for name, program in self.programs.items() if name.startswith("subscriber")]

    @property
    def kills(self) -> int:
        return sum(program.kills for program in self.programs.values())

    def cut(self) -> None:
        """Drop every packet to the cloud's broker."""
        if not self._cut:
            self._rule("-I")
            self._cut = True

    def mend(self) -> None:
        if self._cut:
            self._rule("-D")
            self._cut = False

    def _rule(self, verb: str) -> None:
        match = ["-i", "lo", "-p", "tcp", "--dport", str(self.cloud_port), "-j", "DROP"]
        subprocess.run(["iptables", "-w", verb, "INPUT", *match], check=True)

    def mount(self) -> None:
        """Unmount the mount of a killed s3fs and mount the bucket again."""
        path = self.home / "mount"
        while mounted(path):
            subprocess.run(["umount", "-l", path], check=True)
        self["s3fs"].start()
        deadline = time.monotonic() + 90
        while not mounted(path):
            assert time.monotonic() < deadline, "s3fs does not mount"
            time.sleep(0.05)

    def heal(self) -> None:
        """Start every stopped program and end every fault."""
        self.mend()
        self.proxy.heal()
        if self.kind == "mount" and not (self["s3fs"].alive and mounted(self.home / "mount")):
            if self["s3fs"].alive:
                self["s3fs"].stop()
            self.mount()
        for name, program in self.programs.items():
            if not program.alive and name != "s3fs":
                program.start()

    def wait_for_faces(self, seconds: float = 60) -> None:
        """Wait until each camera has committed a face."""
        deadline = time.monotonic() + seconds
        for number, _ in enumerate(self.outboxes):
            log = self.home / f"committed-{number}.log"
            while not (log.exists() and "committed" in log.read_text()):
                assert time.monotonic() < deadline, f"camera {number} commits nothing"
                time.sleep(0.1)

    def drain(self, seconds: float) -> float:
        """Stop the cameras, then send until no face waits in any outbox.

        Returns:
            Duration in seconds.
        """
        started = time.monotonic()
        for camera in self.cameras:
            camera.stop()
        for number, _ in enumerate(self.outboxes):
            left = max(1.0, seconds - (time.monotonic() - started))
            self._face_app("send", "--until-empty", "--config", self.home / f"edge-{number}.toml", seconds=left)
        return time.monotonic() - started

    def audit(self) -> None:
        """Run `face-app audit` with the ledger of each outbox."""
        ledgers: list[str | Path] = []
        for number, _ in enumerate(self.outboxes):
            file = self.home / f"ledger-{number}"
            file.write_text(self._face_app("ledger", "--config", self.home / f"edge-{number}.toml"))
            ledgers += ["--ledger", file]
        self._face_app("audit", "--config", self.home / "audit.toml", *ledgers, seconds=AUDIT_SECONDS)

    def _face_app(self, *arguments: str | Path, seconds: float = 120) -> str:
        command = [sys.executable, "-m", "face_app", *map(str, arguments)]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=seconds, env=self.cameras[0].full_environment
        )
        assert done.returncode == 0, (
            f"{arguments[0]} ended with {done.returncode}: {(done.stdout + done.stderr)[-3000:]}"
        )
        return done.stdout

    def objects(self) -> dict[str, str]:
        """Return the SHA-256 of each object's bytes, as read back, by its key; without marks."""
        reader = S3Bucket(self.store, connections=READERS)

        def digest(key: str) -> tuple[str, str]:
            return key, hashlib.sha256(reader.get(key) or b"").hexdigest()

        with ThreadPoolExecutor(READERS) as readers:
            keys = (key for key in operations.keys(self.store, "") if not key.startswith(MARKS))
            return dict(readers.map(digest, keys))


@contextmanager
def world(
    home: Path,
    *,
    kind: Kind = "s3",
    seed: int = 0,
    rate: float = 20,
    cameras: int = 1,
    subscribers: int = 2,
    forget: bool = False,
) -> Iterator[World]:
    """Start the chain; stop it at the end of the context.

    Args:
        home: An empty folder.
        kind: Kind of the store.
        seed: Of every random choice.
        rate: Faces a second per camera.
        cameras: Number of cameras; each has an outbox of its own, all have the same edge name.
        subscribers: Number of subscribers that share the faces.
        forget: Drop faces after the PUBACK, without receipts.
    """
    with ExitStack() as stack:
        place, ports = _folder(home / "store"), free_ports(10)
        store_life = stack.enter_context(ExitStack())
        server = store_life.enter_context(seaweedfs(folder=place, ports=ports))

        def restart_store() -> None:
            store_life.close()
            store_life.enter_context(seaweedfs(folder=place, ports=ports))

        proxy_port = free_port()
        proxy = stack.enter_context(store_proxy(server.endpoint, proxy_port, seed))
        store = Store(kind="s3", bucket=BUCKET, endpoint=server.endpoint, credentials_file=server.credentials)
        operations.ensure(store, check=False)
        names = [f"subscriber-{number}" for number in range(1, subscribers + 1)]
        brokers = make_brokers(home, names)
        (home / "password").write_text(PASSWORD)
        programs = {name: _broker(broker, home) for name, broker in brokers.items()}
        edge_port, cloud_port = brokers["edge"].port, brokers["cloud"].port
        failing = store.model_copy(update={"endpoint": f"http://127.0.0.1:{proxy_port}"})
        if kind == "mount":
            programs["s3fs"] = _s3fs(home, failing)
        (home / "audit.toml").write_text(
            f'[store]\nkind = "s3"\nbucket = "{BUCKET}"\nendpoint = "{store.endpoint}"\n'
            f'credentials_file = "{store.credentials_file}"\n'
        )
        for name in names:
            programs[name] = _subscriber(home, name, kind, failing, cloud_port)
        for number in range(cameras):
            programs[f"camera-{number}"] = _camera(home, number, edge_port, rate, seed, forget=forget)
        outboxes = [home / f"edge-{number}" / "outbox.db" for number in range(cameras)]
        running = World(home, kind, programs, proxy, store, cloud_port, outboxes, restart_store)
        stack.callback(_end, running)
        running.heal()
        yield running


def _end(running: World) -> None:
    running.mend()
    for program in reversed(running.programs.values()):
        program.stop(3)
    while mounted(running.home / "mount"):
        subprocess.run(["umount", "-l", running.home / "mount"], check=False)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _broker(broker: Broker, home: Path) -> Program:
    command: list[str | Path] = ["mosquitto", "-c", broker.folder / "mosquitto.conf"]
    return Program(broker.name, command, home / f"{broker.name}.log", broker.port)


def _s3fs(home: Path, store: Store) -> Program:
    assert store.endpoint
    assert store.credentials_file
    command = s3fs_command(store.endpoint, store.credentials_file, BUCKET, _folder(home / "mount"))
    return Program("s3fs", command, home / "s3fs.log")


def _subscriber(home: Path, name: str, kind: Kind, store: Store, cloud_port: int) -> Program:
    cloud = home / "cloud"
    path = f'path = "{home}/mount"\n' if kind == "mount" else ""
    (home / f"{name}.toml").write_text(
        f'subscriber = "{name}"\n'
        f'[store]\nkind = "{kind}"\n{path}bucket = "{BUCKET}"\nendpoint = "{store.endpoint}"\n'
        f'credentials_file = "{store.credentials_file}"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {cloud_port}\nca_file = "{cloud}/ca.crt"\n'
        f'cert_file = "{cloud}/{name}.crt"\nkey_file = "{cloud}/{name}.key"\nkeepalive = 5\n'
    )
    command: list[str | Path] = [sys.executable, "-m", "face_app", "subscribe", "--config", home / f"{name}.toml"]
    return Program(name, command, home / f"{name}.log")


def _camera(home: Path, number: int, edge_port: int, rate: float, seed: int, *, forget: bool) -> Program:
    folder = _folder(home / f"edge-{number}")
    config = home / f"edge-{number}.toml"
    config.write_text(
        f'edge = "{EDGE}"\n'
        f'[outbox]\npath = "{folder}/outbox.db"\n'
        '[sender]\nlink = "bridged"\nresend_after = 2\nresend_cap = 20\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {edge_port}\nusername = "face_app"\n'
        f'password_file = "{home}/password"\nkeepalive = 5\n'
    )
    command: list[str | Path] = [sys.executable, "-m", "faults.camera", config, home / f"committed-{number}.log"]
    command += ["--rate", str(rate), "--seed", str(seed * 100 + number), *(["--forget"] if forget else [])]
    return Program(f"camera-{number}", command, home / f"camera-{number}.log")
