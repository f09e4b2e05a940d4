"""Mosquittos with the roles' own configurations."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

import jinja2
import yaml

from support.plugin import load_plugin
from support.ports import wait_for_port
from support.processes import process

ROLES = Path(__file__).parents[2] / "roles"


def rendered(role: str, template: str, variables: dict[str, Any]) -> str:
    """Render a role's template with its defaults, as Ansible would."""
    mosquitto_password = load_plugin("filter/mosquitto.py").mosquitto_password
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLES / role / "templates"), trim_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {
        "bool": bool,
        "comment": lambda text: f"# {text}",
        "mosquitto_password": mosquitto_password,
        "to_json": json.dumps,
        "spread": load_plugin("filter/spread.py").spread,
    }
    files = [ROLES / role / "defaults/main.yml", ROLES / role / "vars/main.yml"]
    values = {key: value for file in files for key, value in (yaml.safe_load(file.read_text()) or {}).items()}
    shared = {key: value for key, value in values.items() if isinstance(value, str) and "{{ face_app_" in value}
    values |= {key: environment.from_string(value).render() for key, value in shared.items()}
    return environment.get_template(template).render(
        values | {"ansible_managed": "test", "inventory_hostname": "test"} | variables
    )


@dataclass
class Broker:
    """One Mosquitto that can be stopped or killed, and started again on the same port."""

    name: str
    folder: Path
    port: int
    command: tuple[str, ...] = ()
    """How to start it, other than by name."""
    _running: ExitStack = field(default_factory=ExitStack)
    _process: Popen[bytes] | None = None

    def write(self, role: str, template: str, variables: dict[str, Any], changes: dict[str, str]) -> None:
        text = rendered(role, template, variables | {f"__{role}_config": str(self.folder)})
        for before, after in changes.items():
            assert before in text, f"{template} has no {before!r}"
            text = text.replace(before, after)
        # Started by root it would become the user mosquitto, who cannot read the test's folder.
        name = "mosquitto.conf" if "conf" in template else Path(template).stem
        (self.folder / name).write_text(("user root\n" if "conf" in template else "") + text)

    def start(self) -> Popen[bytes]:
        log = self.folder / "log"
        command = self.command or ("mosquitto", "-c", self.folder / "mosquitto.conf")
        self._process = self._running.enter_context(process(command, log))
        wait_for_port(self.port, self._process)
        return self._process

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def stop(self) -> None:
        self._running.close()

    def kill(self) -> None:
        """End it as a power cut does: it writes nothing any more."""
        assert self._process
        self._process.kill()
        self._process.wait()
        self.stop()


def configure_edge_broker(broker: Broker, edge: str, password: str, *, home_assistant: str = "") -> None:
    """Write the files of the role ``edge_broker`` for the broker.

    Args:
        broker: The one to configure.
        edge: Its name.
        password: Of the program and of the forwarder.
        home_assistant: Its password; empty: none, as by default.
    """
    values = {
        "edge_broker_edge": edge,
        "edge_broker_password": password,
        "edge_broker_forwarder_password": password,
        "edge_broker_home_assistant_password": home_assistant,
    }
    listener = {"listener 1883": f"listener {broker.port} 127.0.0.1"}
    broker.write("edge_broker", "broker/mosquitto.conf.j2", values, listener)
    broker.write("edge_broker", "broker/acl.j2", values, {})
    broker.write("edge_broker", "broker/passwd.j2", values, {})


def configure_forwarder(
    broker: Broker, edge: str, password: str, *, edge_port: int, cloud: Sequence[str], ca_file: str = "ca.crt"
) -> None:
    """Write the files of the role ``edge_broker`` for the forwarder, without the certificate.

    Args:
        broker: The one to configure.
        edge: Its name.
        password: Of the forwarder at the edge's broker.
        edge_port: Of the edge's broker.
        cloud: HOST:PORT of each broker in the cloud.
        ca_file: Name of the file with the CA of these brokers.
    """
    bridge = yaml.safe_load((ROLES / "edge_broker/vars/main.yml").read_text())["__edge_broker_bridge"]
    values = {
        "edge_broker_edge": edge,
        "edge_broker_forwarder_password": password,
        "edge_broker_container": "127.0.0.1",
        "edge_broker_cloud_brokers": list(cloud),
        "__edge_broker_cloud_ca_file": ca_file,
        "__edge_broker_client_id": "0badcafe",
        # Quicker than on a real link, so that tests need not wait for a reconnect.
        "__edge_broker_bridge": bridge.replace("restart_timeout 1 30", "restart_timeout 1 2"),
    }
    changes = {"listener 1883": f"listener {broker.port}", "127.0.0.1:1883": f"127.0.0.1:{edge_port}"}
    broker.write("edge_broker", "forwarder/mosquitto.conf.j2", values, changes)


def configure_cloud_broker(
    broker: Broker,
    *,
    subscribers: Sequence[str] = ("subscriber-1",),
    galleries: Sequence[str] = ("gallery",),
    lab_port: int | None = None,
    memory: int = 512,
) -> None:
    """Write the files of the role ``cloud_broker``, without certificates and the revocation list.

    Args:
        broker: The one to configure.
        subscribers: Their names.
        galleries: Their names.
        lab_port: Of the laboratory's listener; None: none, as by default.
        memory: Its maximum in MB, from which its limits derive.
    """
    values: dict[str, Any] = {
        "cloud_broker_subscribers": subscribers,
        "cloud_broker_galleries": galleries,
        "cloud_broker_memory": memory,
    }
    changes = {"listener 8883": f"listener {broker.port} 127.0.0.1"}
    if lab_port:
        values["cloud_broker_lab_listener"] = True
        changes["listener 1883"] = f"listener {lab_port} 127.0.0.1"
        broker.write("cloud_broker", "passwd.j2", values, {})
    broker.write("cloud_broker", "mosquitto.conf.j2", values, changes)
    broker.write("cloud_broker", "acl.j2", values, {})
