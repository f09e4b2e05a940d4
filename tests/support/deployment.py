"""Both ends on this machine under names of their own, from a copy of the checkout whose code may be changed."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from support.clips import photo
from support.playbook import FIRST, ROOT, Played, run_playbooks
from support.ports import free_port

EDGE, CLOUD = "rd-edge", "rd-cloud"
CAPTURE, SUBSCRIBER, BROKER, FORWARDER = "rd_face_app", "rd_subscriber", "rd_mosquitto", "rd_forwarder"
CLOUD_BROKER, STORE = "rd_cloud_mosquitto", "rd-object-store"
CONTAINERS = {CAPTURE, SUBSCRIBER, BROKER, FORWARDER, CLOUD_BROKER, STORE}


def docker(*arguments: str, check: bool = True, given: str | None = None) -> str:
    done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True, input=given, timeout=120)
    if check and done.returncode:
        raise AssertionError(f"docker {arguments} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def inspect(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("inspect", name))[0]
    return found


@dataclass
class Deployment:
    """A copy of the checkout, an inventory and their deployment.

    Attributes:
        home: Folder of both.
        settings: Variables of every run that follows.
    """

    home: Path
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def checkout(self) -> Path:
        return self.home / "checkout"

    @property
    def inventory(self) -> Path:
        return self.home / "inventory"

    def prepare(self) -> None:
        """Copy the tracked files and write an inventory beside them."""
        # Of a run that was cut short.
        docker("rm", "--force", "--volumes", *CONTAINERS, check=False)
        docker("volume", "rm", "--force", "rd_outbox", "rd_objects")
        self.copy_checkout()
        shutil.copytree(ROOT / "inventory/demo", self.inventory, ignore=shutil.ignore_patterns("secrets"))
        media = self.home / "media"
        media.mkdir()
        # In a loop: faces come as long as it runs.
        photo(media / "three.png", faces=3)
        self.home.chmod(0o755)
        etc = f"/etc/face-app/{EDGE}"
        hosts = {"edge": {"hosts": {EDGE: None}}, "cloud": {"hosts": {CLOUD: None}}}
        local = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
        port, store_port = free_port(), free_port()
        documents: dict[str, Any] = {
            "hosts.yml": {"all": {"vars": local}, **hosts},
            "group_vars/all/zz_own.yml": {
                # Its container, port and folder would be those of a demo.
                "face_app_gallery": False,
                "face_app_cloud_address": CLOUD_BROKER,
                "face_app_cloud_network": "rd_cloud",
                "certificates_metrics_directory": f"{etc}/metrics",
                "container_versions_directory": f"{etc}/containers",
                "images_directory": f"/var/cache/face-app/{EDGE}",
            },
            "group_vars/edge/zz_own.yml": {
                "edge_broker_container": BROKER,
                "edge_broker_forwarder_container": FORWARDER,
                "edge_broker_network": "rd_faces",
                "edge_broker_directory": f"{etc}/edge_broker",
                "capture_container": CAPTURE,
                "capture_broker_host": BROKER,
                "capture_networks": ["rd_faces"],
                "capture_outbox_volume": "rd_outbox",
                "capture_directory": f"{etc}/capture",
                "capture_source": "/media",
                "capture_media_directory": str(media),
                "capture_settings": {"camera": {"loop": True}},
            },
            "group_vars/cloud/zz_own.yml": {
                "cloud_broker_directory": f"{etc}/cloud_broker",
                "cloud_broker_port": port,
                "local_object_store_container": STORE,
                "local_object_store_volume": "rd_objects",
                "local_object_store_port": store_port,
                "local_object_store_directory": f"{etc}/object_store",
                "object_storage_endpoint": f"http://{STORE}:8333",
                "object_storage_directory": f"{etc}/object_storage",
                "subscriber_container": SUBSCRIBER,
                "subscriber_store": "s3",
                "subscriber_directory": f"{etc}/subscriber",
                "subscriber_endpoint": f"http://{STORE}:8333",
                "subscriber_public_endpoint": f"http://127.0.0.1:{store_port}",
            },
        }
        for name, document in documents.items():
            place = self.inventory / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(yaml.safe_dump(document))

    def copy_checkout(self) -> None:
        """Copy the tracked files."""
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, names.split("\0")):
            place = self.checkout / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place, follow_symlinks=False)

    def command(self, playbook: str, *options: str) -> list[str]:
        """The command of a run, for those who want to end it themselves."""
        program, given = str(FIRST / "ansible-playbook"), self._options(*options)
        return [program, "-i", str(self.inventory), *given, str(self.checkout / playbook)]

    def play(self, playbook: str, *options: str) -> Played:
        """Run a playbook of the copy."""
        program, playbooks = FIRST / "ansible-playbook", [self.checkout / playbook]
        given = self._options(*options)
        # The time limit of the test ends a run that hangs; on a loaded machine five edges take long.
        return run_playbooks(program, self.inventory, playbooks, given, root=self.checkout, timeout=3000)

    def _options(self, *options: str) -> list[str]:
        return ["-e", json.dumps(self.settings), *options]

    @contextmanager
    def changed(self, name: str, old: str, new: str) -> Iterator[None]:
        """Have other code meanwhile."""
        place = self.checkout / name
        before = place.read_text()
        assert before.count(old) == 1, f"{name} has {before.count(old)} times {old!r}"
        place.write_text(before.replace(old, new))
        try:
            yield
        finally:
            place.write_text(before)

    @contextmanager
    def having(self, **settings: object) -> Iterator[None]:
        """Have other settings meanwhile."""
        before = self.settings
        self.settings = before | settings
        try:
            yield
        finally:
            self.settings = before


def only_error(played: Played) -> str:
    """The message of the one task that failed."""
    assert len(played.errors) == 1, played.errors or played.output[-3000:]
    return played.errors[0]


def environment() -> dict[str, str]:
    """For a run that is started by hand."""
    return {**os.environ, "ANSIBLE_CACHE_PLUGIN": "memory"}
