"""Runs both ends as processes that can be killed or cut off, with a store that fails on demand."""

import hashlib
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from face_app.cloud.bucket import operations
from face_app.cloud.bucket.mark_object import MARKS
from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.common.errors import OutboxError
from face_app.common.settings import Store
from faults import attacks
from faults.program import Program
from faults.programs import (
    BUCKET,
    CameraOptions,
    Kind,
    broker_program,
    camera_program,
    new_folder,
    s3fs_program,
    subscriber_program,
)
from faults.store_proxy import StoreProxy, store_proxy
from support.chain import PASSWORD, make_brokers
from support.ports import free_port, free_ports
from support.s3fs import mounted
from support.seaweedfs import seaweedfs

READERS = 8


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
        health_ports: Ports of the cameras' health.
        restart_store: Restarts the store with its data; with ``kill=True`` it ends as in a power cut.
        helpers: Programs beside the chain that disturb it, by name; the end of the fault stops them.
        dead: Names of programs that never start again.
    """

    home: Path
    kind: Kind
    programs: dict[str, Program]
    proxy: StoreProxy
    store: Store
    cloud_port: int
    outboxes: list[Path]
    health_ports: list[int]
    restart_store: Callable[..., None]
    helpers: dict[str, Program] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
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

    def help(self, name: str, *command: str | Path) -> Program:
        """Start a program of the tests beside the chain, in Python."""
        helper = Program(name, [sys.executable, "-m", *command], self.home / f"{name.replace(' ', '-')}.log")
        self.helpers[name] = helper
        helper.start()
        return helper

    def attack(self, name: str, seed: int) -> None:
        """Let a hostile edge attack the cloud's broker."""
        place = (str(self.cloud_port), self.home / "cloud")
        attacker = self.help("attacker", "faults.attacks", name, *place, "--seed", str(seed))
        deadline = time.monotonic() + 120
        while attacks.BEGUN not in attacker.log.read_text():
            assert attacker.alive, attacker.log.read_text()
            assert time.monotonic() < deadline, f"{name}: the attack does not begin"
            time.sleep(0.1)

    def stop_helpers(self) -> None:
        for helper in self.helpers.values():
            helper.stop()

    def heal(self) -> None:
        """Start every stopped program and end every fault."""
        self.stop_helpers()
        self.mend()
        self.proxy.heal()
        if self.kind == "mount" and not (self["s3fs"].alive and mounted(self.home / "mount")):
            if self["s3fs"].alive:
                self["s3fs"].stop()
            self.mount()
        for name, program in self.programs.items():
            if not program.alive and name != "s3fs" and name not in self.dead:
                program.start()

    def wait_for_faces(self, seconds: float = 60) -> None:
        """Wait until each camera has committed a face."""
        deadline = time.monotonic() + seconds
        for number, _ in enumerate(self.outboxes):
            log = self.home / f"committed-{number}.log"
            while not (log.exists() and "committed" in log.read_text()):
                assert time.monotonic() < deadline, f"camera {number} commits nothing"
                time.sleep(0.1)

    def wait_until_late(self, seconds: float = 90) -> None:
        """Wait until the health of the first camera reports that faces wait."""
        answer, deadline = "", time.monotonic() + seconds
        while "faces wait" not in answer:
            assert time.monotonic() < deadline, f"the camera does not report the waiting faces: {answer}"
            time.sleep(0.2)
            with suppress(OSError):
                ready = HTTPConnection("127.0.0.1", self.health_ports[0], timeout=5)
                ready.request("GET", "/ready")
                answer = ready.getresponse().read().decode()

    def drain(self, seconds: float, *, attempts: int = 1) -> float:
        """Stop the cameras, then send until no face waits in any outbox.

        Args:
            seconds: Maximum duration.
            attempts: Number of starts of the sender: a start after damage is found recovers the faces.

        Returns:
            Duration in seconds.
        """
        started = time.monotonic()
        for camera in self.cameras:
            camera.stop()
        for number, _ in enumerate(self.outboxes):
            send = ("send", "--until-empty", "--config", self.home / f"edge-{number}.toml")
            left = max(1.0, seconds - (time.monotonic() - started))
            self.face_app(*send, seconds=left, attempts=attempts)
        return time.monotonic() - started

    def face_app(
        self, *arguments: str | Path, seconds: float = 120, ends: Sequence[int] = (0,), attempts: int = 1
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the product, and again if it finds a damaged outbox.

        Raises:
            AssertionError: It ended with another status than one of `ends`.
        """
        command = [sys.executable, "-m", "face_app", *map(str, arguments)]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=seconds, env=self.cameras[0].full_environment
        )
        if attempts > 1 and done.returncode == OutboxError.exit_code:
            return self.face_app(*arguments, seconds=seconds, ends=ends, attempts=attempts - 1)
        output = (done.stdout + done.stderr)[-3000:]
        assert done.returncode in ends, f"{arguments[0]} ended with {done.returncode}: {output}"
        assert "Traceback" not in output, output
        return done

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
    broker_memory: int = 512,
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
        broker_memory: Maximum of the cloud's broker in MB.
    """
    with ExitStack() as stack:
        place, ports = new_folder(home / "store"), free_ports(10)
        store_life = stack.enter_context(ExitStack())
        server = store_life.enter_context(seaweedfs(folder=place, ports=ports))
        servers = [server]

        def restart_store(*, kill: bool = False) -> None:
            if kill:
                servers[-1].process.kill()
            store_life.close()
            servers.append(store_life.enter_context(seaweedfs(folder=place, ports=ports)))

        proxy_port = free_port()
        proxy = stack.enter_context(store_proxy(server.endpoint, proxy_port, seed))
        store = Store(kind="s3", bucket=BUCKET, endpoint=server.endpoint, credentials_file=server.credentials)
        operations.ensure(store, check=False)
        names = [f"subscriber-{number}" for number in range(1, subscribers + 1)]
        brokers = make_brokers(home, names, others=[attacks.EDGE], memory=broker_memory)
        (home / "password").write_text(PASSWORD)
        programs = {name: broker_program(broker, home) for name, broker in brokers.items()}
        cloud_port = brokers["cloud"].port
        failing = store.model_copy(update={"endpoint": f"http://127.0.0.1:{proxy_port}"})
        if kind == "mount":
            programs["s3fs"] = s3fs_program(home, failing)
            failing = failing.model_copy(update={"kind": "mount", "path": home / "mount"})
        (home / "audit.toml").write_text(
            f'[store]\nkind = "s3"\nbucket = "{BUCKET}"\nendpoint = "{store.endpoint}"\n'
            f'credentials_file = "{store.credentials_file}"\n'
        )
        group = secrets.token_hex(8)
        for name in names:
            programs[name] = subscriber_program(home, name, failing, cloud_port, group)
        health_ports = free_ports(cameras)
        options = CameraOptions(brokers["edge"].port, rate, seed, forget)
        for number in range(cameras):
            programs[f"camera-{number}"] = camera_program(home, number, health_ports[number], options)
        outboxes = [home / f"edge-{number}" / "outbox.db" for number in range(cameras)]
        running = World(home, kind, programs, proxy, store, cloud_port, outboxes, health_ports, restart_store)
        stack.callback(_end, running)
        running.heal()
        yield running


def _end(running: World) -> None:
    running.mend()
    running.stop_helpers()
    for program in reversed(running.programs.values()):
        program.stop(3)
    while mounted(running.home / "mount"):
        subprocess.run(["umount", "-l", running.home / "mount"], check=False)
