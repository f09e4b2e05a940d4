"""Define the commands and settings of the programs of a chain."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from face_app.common.settings import Store
from faults.program import Program
from support.brokers import Broker
from support.chain import EDGE
from support.s3fs import s3fs_command

BUCKET = "face-app"
Kind = Literal["s3", "mount"]
OPEN_FILES = 20_000
"""Limit of open files of the cloud's broker. Its container raises the limit from 1,024 as far as the engine lets it."""
LATE_SECONDS = 5
"""Seconds until a waiting face makes a camera not ready."""


def new_folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def broker_program(broker: Broker, home: Path) -> Program:
    limit = ["prlimit", f"--nofile={OPEN_FILES}"] if broker.name == "cloud" else []
    return Program(
        broker.name,
        [*limit, "mosquitto", "-c", broker.folder / "mosquitto.conf"],
        home / f"{broker.name}.log",
        broker.port,
    )


def s3fs_program(home: Path, store: Store) -> Program:
    assert store.endpoint
    assert store.credentials_file
    command = s3fs_command(store.endpoint, store.credentials_file, BUCKET, new_folder(home / "mount"))
    return Program("s3fs", command, home / "s3fs.log")


def subscriber_program(home: Path, name: str, store: Store, cloud_port: int, group: str) -> Program:
    """Write the settings of a subscriber and return its program."""
    cloud = home / "cloud"
    path = f'path = "{store.path}"\n' if store.path else ""
    (home / f"{name}.toml").write_text(
        f'subscriber = "{name}"\ngroup = "{group}"\n'
        f'[store]\nkind = "{store.kind}"\n{path}bucket = "{BUCKET}"\nendpoint = "{store.endpoint}"\n'
        f'credentials_file = "{store.credentials_file}"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {cloud_port}\nca_file = "{cloud}/ca.crt"\n'
        f'cert_file = "{cloud}/{name}.crt"\nkey_file = "{cloud}/{name}.key"\nkeepalive = 5\n'
    )
    command: list[str | Path] = [sys.executable, "-m", "face_app", "subscribe", "--config", home / f"{name}.toml"]
    return Program(name, command, home / f"{name}.log")


@dataclass(frozen=True)
class CameraOptions:
    """Contains the options of every camera of a chain.

    Attributes:
        edge_port: Port of the edge's broker.
        rate: Faces a second.
        seed: Of every random choice.
        forget: Drop faces after the PUBACK, without receipts.
    """

    edge_port: int
    rate: float
    seed: int
    forget: bool


def camera_program(home: Path, number: int, health_port: int, options: CameraOptions) -> Program:
    """Write the settings of a camera and return its program."""
    folder = new_folder(home / f"edge-{number}")
    config = home / f"edge-{number}.toml"
    config.write_text(
        f'edge = "{EDGE}"\n'
        f'[outbox]\npath = "{folder}/outbox.db"\nlate_after = {LATE_SECONDS}\n'
        '[sender]\nlink = "bridged"\nresend_after = 2\nresend_cap = 20\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {options.edge_port}\nusername = "face_app"\n'
        f'password_file = "{home}/password"\nkeepalive = 5\n'
        f"[metrics]\nport = {health_port}\n"
    )
    command: list[str | Path] = [sys.executable, "-m", "faults.camera", config, home / f"committed-{number}.log"]
    command += ["--rate", str(options.rate), "--seed", str(options.seed * 100 + number)]
    return Program(
        f"camera-{number}", [*command, *(["--forget"] if options.forget else [])], home / f"camera-{number}.log"
    )
