"""The cloud's VM is ordered once, found ever after, and cancelled only by its name."""

import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.playbook import FIRST, SECOND, run_playbooks
from support.softlayer_api import API_KEY, USER, SoftLayerApi, fault, softlayer_api

ROOT = Path(__file__).parents[2]
FQDN = "face-server.server.cloud"
WRONG_KEY = "f" * 63 + "0"


def _has_library(programs: Path) -> bool:
    python = programs / "python"
    look = [python, "-c", "import SoftLayer"]
    return python.exists() and subprocess.run(look, check=False, capture_output=True).returncode == 0


@dataclass
class Desk:
    """An operator's: an inventory with an edge and no cloud, a key, and an account.

    Attributes:
        home: Folder with all of it.
        api: The account.
        programs: Where ansible-playbook is.
        ssh_port: Where the VM's sshd answers.
        said: What ``hosts.yml`` says of the VM; empty where it does not name it.
        of_the_group: Whether it says so of the group cloud.
    """

    home: Path
    api: SoftLayerApi
    programs: Path
    ssh_port: int
    said: dict[str, object] = field(default_factory=dict)
    of_the_group: bool = False

    @property
    def file(self) -> Path:
        return self.home / "inventory/softlayer_vm.yml"

    @property
    def key(self) -> str:
        return (self.home / "key.pub").read_text()

    def play(self, *options: str, **settings: object) -> dict[str, Any]:
        """Run the playbook, and one for the group cloud after it.

        Args:
            options: Of ansible-playbook.
            settings: Of the role, without ``softlayer_vm_``; they win over those that every run has. None: not set.

        Returns:
            ``rc``, ``changed``, ``cloud`` (address of each host in the group), ``ports`` and ``authorities`` (the same
            hosts'), the last ``error``, and all ``output``.
        """
        usual = {
            "username": USER,
            "api_key": API_KEY,
            "endpoint": self.api.endpoint,
            "public_key_file": str(self.home / "key.pub"),
            "ssh_port": self.ssh_port,
            "wait_interval": 0,
        }
        variables = self.home / "inventory/group_vars/all/vars.yml"
        variables.parent.mkdir(parents=True, exist_ok=True)
        given = {f"softlayer_vm_{name}": value for name, value in (usual | settings).items() if value is not None}
        variables.write_text(yaml.safe_dump(given | {"authority": "{{ inventory_dir }}/secrets/pki"}))
        hosts: dict[str, Any] = {"edge": {"hosts": {"jetson": {"ansible_host": "192.0.2.1"}}}}
        if self.said:
            hosts["cloud"] = {"vars": self.said} if self.of_the_group else {"hosts": {"face-server": self.said}}
        (self.home / "inventory/hosts.yml").write_text(yaml.safe_dump(hosts))
        words = "{{ ansible_user }}@{{ ansible_host }} {{ ansible_port }} {{ authority }}"
        tell = {"ansible.builtin.debug": {"msg": words}}
        (self.home / "next.yml").write_text(
            yaml.safe_dump([{"hosts": "cloud", "gather_facts": False, "tasks": [tell]}])
        )
        # No ~/.softlayer but the desk's.
        environment = {name: each for name, each in os.environ.items() if not name.lower().endswith("_proxy")} | {
            "HOME": str(self.home)
        }
        playbooks = [ROOT / "playbooks/provision.yml", self.home / "next.yml"]
        played = run_playbooks(
            self.programs / "ansible-playbook", self.home / "inventory", playbooks, options, environment
        )
        mine = [each["localhost"] for each in played.results if "localhost" in each]
        others = [(name, each) for hosts in played.results for name, each in hosts.items() if name != "localhost"]
        told = {name: str(each["msg"]).split() for name, each in others}
        return {
            "rc": played.rc,
            "changed": played.stats["localhost"]["changed"],
            "cloud": {name: address for name, (address, _, _) in told.items()},
            "ports": {name: int(port) for name, (_, port, _) in told.items()},
            "authorities": {name: authority for name, (_, _, authority) in told.items()},
            "messages": [str(each["msg"]) for each in mine if "msg" in each],
            "error": next(iter(played.errors), ""),
            "output": played.output,
        }

    def run(self, *options: str, **settings: object) -> dict[str, Any]:
        """Run it; it must succeed."""
        told = self.play(*options, **settings)
        assert told["rc"] == 0, told["output"]
        return told

    def refused(self, *options: str, **settings: object) -> str:
        """Run it; it must stop, order nothing and cancel nothing. The one line it stops with."""
        told = self.play(*options, **settings)
        assert told["rc"] == 2, told["output"]
        assert not {"Product_Order.placeOrder", "Virtual_Guest.deleteObject"} & set(self.api.calls)
        assert "\n" not in told["error"]
        return str(told["error"])


@contextmanager
def sshd_greeting() -> Iterator[int]:
    """A port that greets as sshd does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    programs = getattr(request, "param", FIRST)
    if not _has_library(programs):
        pytest.skip("the package SoftLayer is not installed beside this ansible-core, or that core is not here")
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", tmp_path / "key"], check=True)
    with softlayer_api() as api, sshd_greeting() as port:
        yield Desk(tmp_path, api, programs, port)


on_each_core = pytest.mark.parametrize("desk", [FIRST, SECOND], ids=["first-core", "second-core"], indirect=True)


def test_nothing_orders_one_but_its_own_playbook():
    playbooks = [*ROOT.glob("*.yml"), *ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")]
    named = {each.relative_to(ROOT).as_posix() for each in playbooks if "softlayer_vm" in each.read_text()}
    assert {each for each in named if not each.startswith("roles/softlayer_vm/")} == {"playbooks/provision.yml"}
    importers = [each.name for each in playbooks if re.search(r"import_playbook: .*provision", each.read_text())]
    assert importers == []


@on_each_core
def test_it_is_ordered_once_and_stands_in_the_inventory(desk):
    told = desk.run("--check")
    assert f"{FQDN} would cost 0.102 USD per hour" in told["messages"][-1]
    assert (desk.api.guests, desk.api.keys, desk.file.exists(), told["cloud"]) == ([], [], False, {})

    told = desk.run()
    (guest,) = desk.api.guests
    assert (guest.fqdn, guest.tags) == (FQDN, ["face-app"])
    assert guest.container["location"] == "wdc04"
    assert guest.container["sshKeys"] == [{"sshKeyIds": [desk.api.keys[0]["id"]]}]
    # Each step is shown once, and this very run knows the host.
    assert re.findall(rf"{FQDN}: .*, (\w+ \w+)$", told["output"], re.MULTILINE) == [
        "Assign Host",
        "Configure Network",
        "Service Setup",
    ]
    # What the run goes on with is what the next ones have, an authority beside the inventory included.
    here = {
        "cloud": {"face-server": "root@127.0.0.1"},
        "ports": {"face-server": desk.ssh_port},
        "authorities": {"face-server": f"{desk.home}/inventory/secrets/pki"},
    }
    assert {name: told[name] for name in here} == here
    written = desk.file.stat().st_mtime_ns

    for options in ((), ("--check",)):
        told = desk.run(*options)
        assert told["changed"] == 0
        assert {name: told[name] for name in here} == here
    assert (len(desk.api.guests), len(desk.api.keys), desk.file.stat().st_mtime_ns) == (1, 1, written)


@on_each_core
@pytest.mark.parametrize("of_the_group", [False, True], ids=["of the host", "of its group"])
def test_a_user_and_a_port_that_came_later_stay(desk, of_the_group):
    desk.run()
    with sshd_greeting() as moved:
        desk.said, desk.of_the_group = {"ansible_user": "face-admin", "ansible_port": moved}, of_the_group
        for _ in range(2):
            told = desk.run(ssh_port=None)
            assert (told["cloud"], told["ports"]) == ({"face-server": "face-admin@127.0.0.1"}, {"face-server": moved})
        assert told["changed"] == 0


def test_what_was_written_into_its_own_file_stays(desk):
    desk.run()
    desk.file.write_text(desk.file.read_text().replace("root", "face-admin"))
    told = desk.run()
    assert (told["changed"], told["cloud"]) == (0, {"face-server": "face-admin@127.0.0.1"})


def test_another_vm_of_that_name_begins_with_root(desk):
    desk.run()
    desk.said = {"ansible_host": "192.0.2.20", "ansible_user": "face-admin", "ansible_port": 2222}
    desk.file.unlink()
    told = desk.run()
    assert (told["cloud"], told["ports"]) == ({"face-server": "root@127.0.0.1"}, {"face-server": desk.ssh_port})


@on_each_core
def test_it_is_cancelled_by_its_name_and_by_no_other(desk):
    guest = desk.api.add_guest(None, "face-app")
    assert f"softlayer_vm_cancel is face-server, and the VM is {FQDN}" in desk.refused(
        "-e", "softlayer_vm_cancel=face-server"
    )
    cancel = ("-e", f"softlayer_vm_cancel={FQDN}")
    desk.run()
    assert desk.run("--check", *cancel)["changed"] == 2
    assert (guest.leaving, desk.file.exists()) == (0, True)
    assert desk.run(*cancel)["changed"] == 2
    assert (guest.leaving > 0, desk.file.exists()) == (True, False)
    # It is still listed; that is no reason to cancel it twice, nor to take it for the VM.
    assert desk.run(*cancel)["changed"] == 0
    assert not guest.gone
    desk.run()
    assert len(desk.api.guests) == 2


def test_a_key_is_found_under_another_label(desk):
    desk.api.add_key(f"{' '.join(desk.key.split()[:2])} somebody@else", "serverKey")
    desk.run()
    assert [each["label"] for each in desk.api.keys] == ["serverKey"]
    assert desk.api.guests[0].container["sshKeys"] == [{"sshKeyIds": [desk.api.keys[0]["id"]]}]


def test_a_vm_of_that_name_without_the_tag_is_somebody_elses(desk):
    guest = desk.api.add_guest()
    assert f"VM {guest.id} is called {FQDN} and is not tagged face-app" in desk.refused()
    assert "is not tagged face-app" in desk.refused("-e", f"softlayer_vm_cancel={FQDN}")
    assert (guest.tags, desk.api.keys) == ([], [])


def test_two_vms_of_that_name_are_a_mistake(desk):
    ids = [desk.api.add_guest(None, "face-app").id for _ in range(2)]
    assert f"{FQDN} is the name of VMs {ids[0]} and {ids[1]}" in desk.refused()


@on_each_core
def test_a_wrong_key_is_told_in_one_line_and_never_shown(desk):
    told = desk.play("-vvv", api_key=WRONG_KEY)
    assert (told["rc"], "\n" in told["error"]) == (2, False)
    assert told["error"].startswith(
        "SoftLayer refuses the credentials (Invalid API token); correct username and api_key"
    )
    assert WRONG_KEY not in told["output"]
    assert "no credentials for SoftLayer" in desk.refused(username="", api_key="")
    # A key of IBM Cloud goes another way.
    assert desk.run("--check", "-vvv", username="apikey")["changed"] == 1


def test_what_is_not_sold_or_not_reached_is_told_in_one_line(desk):
    assert "Invalid value provided for os: UBUNTU_16_64; correct what it names: os_code" in desk.refused(
        os_code="UBUNTU_16_64"
    )
    desk.api.faults["Account.getVirtualGuests"] = fault("Internal\nerror.")
    assert "does not list the VMs: Internal error" in desk.refused()
    assert re.match(r"no answer from http://127.0.0.1:9 .*check endpoint", desk.refused(endpoint="http://127.0.0.1:9"))
    assert "There is no SSH key /nowhere" in desk.refused(public_key_file="/nowhere")
    assert "is not a public SSH key" in desk.refused(public_key_file=str(desk.home / "key"))


@on_each_core
def test_after_a_time_out_it_waits_on(desk):
    desk.api.looks = -1
    told = desk.play(wait_timeout=1)
    assert (told["rc"], desk.file.exists(), told["cloud"]) == (2, False, {})
    assert re.match(rf"{FQDN} \(VM 1000\) is not ready after 1 s, last step: [A-Z][a-z]+ [A-Z]", told["error"])
    assert desk.run("--check")["changed"] == 1, "the inventory's file is to come; nothing is waited for"
    desk.api.guests[0].looks = 1
    assert desk.run()["cloud"] == {"face-server": "root@127.0.0.1"}
    assert len(desk.api.guests) == 1


def test_a_vm_that_vanishes_while_it_is_waited_for_is_not_ordered_again(desk):
    desk.api.looks = -1
    over = threading.Event()

    def cancel_it() -> None:
        while not over.wait(0.02):
            for guest in desk.api.guests:
                if guest.tags:
                    guest.leaving = 10

    console = threading.Thread(target=cancel_it)
    console.start()
    try:
        told = desk.play(wait_timeout=1)
    finally:
        over.set()
        console.join()
    assert "it may have been cancelled: run again to find or order it by name" in told["error"]
    assert desk.api.calls.count("Product_Order.placeOrder") == 1


def test_a_run_that_breaks_off_after_the_order_finds_its_vm(desk):
    desk.api.faults["Virtual_Guest.setTags"] = fault("Try later.")
    assert "does not tag VM 1000: Try later; run again" in desk.play()["error"]
    desk.api.faults.clear()
    desk.api.guests[0].tags.append("by-hand")
    desk.run()
    assert [each.tags for each in desk.api.guests] == [["by-hand", "face-app"]]
