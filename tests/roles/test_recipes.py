"""The recipes of docs/fleet.md as written, on hosts with sshd and an engine of their own, while faces flow.

One fleet serves all tests, in this order. A picture in a loop is each camera: three faces every two seconds. Hosts have
the project's images from the start; with FACE_APP_COLD=1 they are bare, and the recipes install and build all.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from face_app import __version__
from face_app.common.wire import face_of_key
from support.clips import photo
from support.deployment import Deployment, docker
from support.hosts import Host
from support.playbook import FIRST, ROOT, run_playbooks
from support.ssh_host import wait_until

GUIDE = (ROOT / "docs/fleet.md").read_text()
NETWORK = {"name": "face-app-recipes", "subnet": "10.213.5.0/24"}
SERVER, GATE, YARD, NEW_YARD = (f"10.213.5.{number}" for number in (10, 11, 12, 13))
COLD = os.environ.get("FACE_APP_COLD") == "1"
LATER = f"{__version__}.post1"
CONTROL = Path("/tmp/face-app-recipes")
"""Of ssh's sockets, whose paths must be short."""
NO_LEDGER = "no ledger was given"

pytestmark = [
    pytest.mark.host,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.geteuid() != 0, reason="deploys to containers of this machine: run as root"),
]


def block(title: str, language: str = "sh") -> str:
    """Return the first block of code after a title of the guide."""
    _, found, after = GUIDE.partition(title)
    assert found, f"docs/fleet.md has no {title!r}"
    return re.findall(rf"^```{language}\n(.*?)^```", after, re.MULTILINE | re.DOTALL)[0]


def host(name: str) -> Host:
    """Return the host of a name in the inventory."""
    return Host(f"recipes-{name}")


class Fleet(Deployment):
    """Hosts, and the checkout from which an operator deploys them."""

    @property
    def inventory(self) -> Path:
        return self.checkout / "inventory/mine"

    def prepare(self) -> None:
        """Copy the tracked files, and fill in the example of an inventory."""
        self.copy_checkout()
        for name in ("media", "hosts"):
            (self.home / name).mkdir()
        photo(self.home / "media/three.png", faces=3)
        shutil.copytree(self.checkout / "inventory/example", self.inventory)
        # Behind a company's CA.
        ca = os.environ.get("FACE_APP_EXTRA_CA") or os.environ.get("PIP_CERT", "")
        # Patience for a loaded machine; a healthy version needs a fraction of it.
        patience = {"capture_wait": 300, "subscriber_wait": 300, "verify_wait": 300}
        values = {"face_app_own_store": True, "subscriber_store": "s3", "images_extra_ca": ca, **patience}
        self.edit("group_vars/all/vars.yml", **values)
        self.edit("group_vars/all/vault.yml", face_app_s3_access_key="KEYOFTHETEST", face_app_s3_secret_key="a-secret")
        self.edit("group_vars/all/vault.example.yml", face_app_broker_password=None, face_app_forwarder_password=None)
        (self.inventory / "group_vars/edge").mkdir()
        (self.inventory / "group_vars/edge/passwords.yml").write_text(block("## Passwords of each box", "yaml"))

    def edit(self, name: str, **values: object) -> None:
        """Set values in a file of the inventory; None removes one."""
        place = self.inventory / name
        place.parent.mkdir(parents=True, exist_ok=True)
        before = yaml.safe_load(place.read_text()) if place.exists() else {}
        kept = {key: value for key, value in {**before, **values}.items() if value is not None}
        place.write_text(yaml.safe_dump(kept))

    def list_hosts(self, **edges: str) -> None:
        """Write the edges into the inventory, each with its address."""
        ssh = f"-F none -o UserKnownHostsFile={self.home}/known_hosts -o IdentitiesOnly=yes"
        login = {"ansible_ssh_private_key_file": f"{self.home}/hosts/key", "ansible_ssh_common_args": ssh}
        edge, cloud = (
            {"hosts": {name: {"ansible_host": address, "ansible_user": "root"} for name, address in hosts.items()}}
            for hosts in (edges, {"server": SERVER})
        )
        self.edit("hosts.yml", all={"vars": login}, edge=edge, cloud=cloud)

    def set_camera(self, edge: str) -> None:
        """Write the camera of an edge into the inventory."""
        camera = {"capture_source": "/media", "capture_media_directory": "/srv/media"}
        self.edit(f"host_vars/{edge}/vars.yml", **camera, capture_settings={"camera": {"loop": True}})

    def start(self, **addresses: str) -> None:
        """Start hosts that the operator's key opens and whose keys his ssh knows."""
        platforms = [
            {
                "name": host(name).name,
                "ssh": True,
                "network": NETWORK,
                "address": address,
                "volumes": [f"{self.home}/media:/srv/media:ro"],
                **({"image": "bare"} if COLD else {"images": images_of(name)}),
            }
            for name, address in addresses.items()
        ]
        started = run_playbooks(
            FIRST / "ansible-playbook",
            Path("localhost,"),
            [ROOT / "tests/molecule/create.yml"],
            ["-e", json.dumps({"molecule_yml": {"platforms": platforms}})],
            {**os.environ, "MOLECULE_EPHEMERAL_DIRECTORY": f"{self.home}/hosts"},
            timeout=3000,
        )
        assert started.rc == 0, started.output[-6000:]
        with (self.home / "known_hosts").open("a") as known:
            known.write((self.home / "hosts/known_hosts").read_text())

    def run(self, commands: str, **names: str) -> str:
        """Run commands of the guide in the checkout; each must succeed.

        Args:
            commands: Lines for a shell.
            names: Words that stand for names, such as NAME.
        """
        for word, name in names.items():
            commands = re.sub(rf"\b{word}\b", name, commands)
        own = {
            # As in an active virtual environment.
            "PATH": f"{FIRST}:{os.environ['PATH']}",
            "ANSIBLE_CONFIG": str(self.checkout / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(CONTROL),
            "LC_ALL": "C.UTF-8",
        }
        begun = time.monotonic()
        done = subprocess.run(
            ["bash", "-euc", commands],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.checkout,
            env=os.environ | own,
            timeout=3000,
        )
        sys.stdout.write(f"{time.monotonic() - begun:.0f} s: {commands}\n")
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        return done.stdout

    def password(self, edge: str, user: str = "broker") -> str:
        """Return the password that was drawn for a user of an edge's broker."""
        return (self.inventory / f"secrets/edges/{edge}/{user}").read_text().strip()

    def turn_camera_off(self, edge: str) -> None:
        """Follow the recipe until no face waits."""
        off, waiting = block("**Rename one.**").splitlines()
        self.run(off, NAME=edge)
        assert wait_until(lambda: '"waiting": 0,' in self.run(waiting, NAME=edge), 300)

    def faces(self, edge: str) -> set[str]:
        """Return the keys of the camera's faces under the name of an edge."""
        listed = host("server").run("docker", "exec", "subscriber", "face-app", "bucket", "list", f"{edge}/front/")
        return {key for key in listed.splitlines() if face_of_key(key)}

    def more_faces(self, edge: str, before: set[str]) -> set[str]:
        """Wait for further faces, and return them."""
        assert wait_until(lambda: self.faces(edge) - before, 300), f"no face of {edge} arrives"
        return self.faces(edge) - before

    def audit(self, box: str, edge: str, *former: str) -> dict[str, Any]:
        """Audit an edge with its ledger, again while faces are under way; return the last report and its exit code."""
        renamed = [f"--renamed={name}={edge}" for name in former]
        reports: list[dict[str, Any]] = []

        def settled() -> bool:
            ledger = host(box).run("docker", "exec", "face_app", "face-app", "ledger")
            audit = ["face-app", "audit", "--json", "--ledger=-", f"--edge={edge}", *renamed]
            done = host("server").ask("docker", "exec", "-i", "subscriber", *audit, stdin=ledger)
            assert done.stdout, done.stderr
            reports.append({**json.loads(done.stdout.splitlines()[-1]), "exit_code": done.returncode})
            return all(NO_LEDGER in each for each in reports[-1]["unproven"])

        wait_until(settled, 120)
        return reports[-1]


def images_of(name: str) -> list[str]:
    return ["base", "mosquitto", *(["subscriber", "object_store"] if name == "server" else ["capture"])]


def lets_in(box: str, password: str) -> bool:
    """Return whether the broker of a box accepts a password of its program."""
    # Without the folder of settings, which has the right one.
    program = ["docker", "exec", "--env=XDG_CONFIG_HOME=/nowhere", "mosquitto", "mosquitto_sub", "-h", "127.0.0.1"]
    asked = host(box).ask(*program, "-u", "face_app", "-P", password, "-t", "$SYS/broker/uptime", "-C", "1", "-W", "20")
    assert asked.returncode == 0 or "not authorised" in asked.stderr.lower(), asked.stderr
    return asked.returncode == 0


def cloud_lets_in(box: str, edge: str) -> bool:
    """Return whether the cloud's broker accepts the certificate that a box has for the name of an edge."""
    image = host(box).run("docker", "inspect", "--format={{.Config.Image}}", "forwarder")
    run = ["docker", "run", "--rm", "--network=faces", "--volume=/etc/face-app/edge_broker/forwarder:/files:ro", image]
    files = ["--cafile=/files/ca.crt", f"--cert=/files/{edge}.crt", f"--key=/files/{edge}.key"]
    files = [part for each in files for part in each.split("=")]
    # -E: it ends as soon as the subscription is acknowledged.
    subscribe = ["mosquitto_sub", "-h", SERVER, "-p", "8883", *files, "-t", f"receipts/{edge}/+", "-E", "-W", "20"]
    return host(box).ask(*run, *subscribe).returncode == 0


def containers(box: str) -> str:
    return host(box).run("docker", "ps", "--no-trunc", "--quiet")


def remove_hosts() -> None:
    names = [host(name).name for name in ("server", "gate", "yard")]
    docker("rm", "--force", "--volumes", *names, check=False)
    docker("network", "rm", NETWORK["name"], check=False)
    shutil.rmtree(CONTROL, ignore_errors=True)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    made = Fleet(tmp_path_factory.mktemp("recipes"))
    made.prepare()
    # Of a run that was cut short.
    remove_hosts()
    try:
        made.start(server=SERVER, gate=GATE)
        made.list_hosts(gate=GATE)
        made.set_camera("gate")
        made.run("ansible-playbook site.yml")
        yield made
    finally:
        remove_hosts()


def test_the_first_box_has_passwords_of_its_own_and_faces_flow(fleet):
    fleet.more_faces("gate", set())
    assert fleet.password("gate") != fleet.password("gate", "forwarder")
    assert lets_in("gate", fleet.password("gate"))


def test_adds_a_box(fleet):
    running = containers("gate")
    fleet.start(yard=YARD)
    fleet.list_hosts(gate=GATE, yard=YARD)
    fleet.set_camera("yard")
    fleet.run(block("**Add a box.**"), NAME="yard")
    fleet.more_faces("yard", set())
    passwords = {fleet.password(box, user) for box in ("gate", "yard") for user in ("broker", "forwarder")}
    assert len(passwords) == 4
    for box, other in (("gate", "yard"), ("yard", "gate")):
        assert lets_in(box, fleet.password(box))
        assert not lets_in(box, fleet.password(other))
    assert containers("gate") == running


def test_renames_one(fleet):
    fleet.turn_camera_off("gate")
    before = fleet.faces("gate")
    fleet.edit("host_vars/gate/vars.yml", face_app_edge_name="door", face_app_former_edge_names=["gate"])
    fleet.run("ansible-playbook edge.yml -l NAME", NAME="gate")
    first = fleet.more_faces("door", set())
    assert cloud_lets_in("gate", "gate")
    fleet.edit("group_vars/all/vars.yml", certificates_revoked=["gate"])
    fleet.run("ansible-playbook cloud.yml")
    assert not cloud_lets_in("gate", "gate")
    assert cloud_lets_in("gate", "door")
    fleet.more_faces("door", first)
    assert fleet.faces("gate") == before
    fleet.run("ansible-playbook playbooks/audit.yml")
    report = fleet.audit("gate", "door", "gate")
    assert report["exit_code"] == 0, report
    (edge,) = report["edges"]
    assert edge["edge"] == "door"
    assert edge["counts"]["stored"] >= len(before | first)
    assert len(edge["outboxes"]) == 1


def test_replaces_a_dead_one(fleet):
    fleet.turn_camera_off("yard")
    before = fleet.faces("yard")
    docker("rm", "--force", "--volumes", host("yard").name)
    fleet.start(yard=NEW_YARD)
    fleet.list_hosts(gate=GATE, yard=NEW_YARD)
    fleet.run("ansible-playbook edge.yml -l NAME", NAME="yard")
    after = fleet.more_faces("yard", before)
    old, new = ({face.outbox for key in keys if (face := face_of_key(key))} for keys in (before, after))
    assert len(old) == len(new) == len(old ^ new) - 1 == 1
    assert before <= fleet.faces("yard")
    fleet.run("ansible-playbook playbooks/audit.yml")
    report = fleet.audit("yard", "yard")
    assert report["faults"] == {}, report
    # Whether the newest faces of the dead box arrived, only its own ledger could show.
    (doubt,) = report["unproven"]
    assert NO_LEDGER in doubt
    assert old.pop() in doubt


def test_upgrades(fleet):
    pull, cloud, *edges = block("**Upgrade.**").splitlines()
    assert pull.startswith("git pull")
    before = {edge: fleet.faces(edge) for edge in ("door", "yard")}
    # What git pull would bring.
    with fleet.changed("src/face_app/__init__.py", f'"{__version__}"', f'"{LATER}"'):
        fleet.run(cloud)
        for edge, faces in before.items():
            fleet.more_faces(edge, faces)
        fleet.run("\n".join(edges))
    programs = {"server": "subscriber", "gate": "face_app", "yard": "face_app"}
    for name, program in programs.items():
        assert host(name).run("docker", "exec", program, "face-app", "--version") == f"face-app {LATER}"
    report = fleet.audit("gate", "door", "gate")
    assert report["exit_code"] == 0, report
    report = fleet.audit("yard", "yard")
    assert report["faults"] == {}, report
    assert all(NO_LEDGER in doubt for doubt in report["unproven"]), report
