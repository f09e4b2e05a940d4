"""The role softlayer_vm orders the cloud's VM once, finds it in each later run, and cancels it by its name alone.

One scenario of playbook runs drives the role; the full tier takes all its steps, on both ansible-cores at once. Cases
of the module call the module.
"""

import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.playbook import FIRST, ROOT, SECOND
from support.role_steps import Play, Step, apply_role, needs_all_steps, run_steps, task
from support.softlayer_api import API_KEY, USER, SoftLayerApi, fault, softlayer_api

FQDN = "face-server.server.cloud"
WRONG_KEY = "f" * 63 + "0"
CORES = {"first-core": FIRST, "second-core": SECOND}
EACH_CORE = ("first-core", pytest.param("second-core", marks=pytest.mark.full))
EACH_RUN = frozenset({"wrong key", "order", "again", "cancel by another name", "cancel"})
"""Steps of which tests outside the full tier need the results."""


# The first test of a core pays for its whole scenario.
pytestmark = pytest.mark.timeout(3600)

NO_LIBRARY = "the package SoftLayer is not installed beside this ansible-core, or that core is not here"


@cache
def has_library(core: str) -> bool:
    python = CORES[core] / "python"
    command = [python, "-c", "import SoftLayer"]
    return python.exists() and subprocess.run(command, check=False, capture_output=True).returncode == 0


@contextmanager
def greeting() -> Iterator[int]:
    """Listen on a port that greets as sshd does."""
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


def environment(home: Path) -> dict[str, str]:
    """Hide the user's own ~/.softlayer and proxies."""
    return {name: each for name, each in os.environ.items() if not name.lower().endswith("_proxy")} | {
        "HOME": str(home)
    }


def make_key(home: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", home / "key"], check=True)
    return (home / "key.pub").read_text()


@dataclass
class Scenario:
    """An operator's inventory with an edge and no cloud, a key, and an account for each case.

    Attributes:
        complete: Take all steps, not only those of `EACH_RUN`.
        port: Of the VMs' sshd.
        moved_port: Of an sshd that was moved.
        notes: Observations between two runs.
    """

    home: Path
    programs: Path
    complete: bool
    port: int
    moved_port: int
    main: SoftLayerApi
    fresh: SoftLayerApi
    slow: SoftLayerApi
    vanishing: SoftLayerApi
    steps: dict[str, Step] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def inventory(self) -> Path:
        return self.home / "inventory"

    @property
    def file(self) -> Path:
        return self.inventory / "softlayer_vm.yml"

    def prepare(self) -> None:
        make_key(self.home)
        settings = {"username": USER, "api_key": API_KEY, "public_key_file": f"{self.home}/key.pub", "wait_interval": 0}
        variables = {f"softlayer_vm_{name}": value for name, value in settings.items()}
        file = self.inventory / "group_vars/all/vars.yml"
        file.parent.mkdir(parents=True)
        file.write_text(yaml.safe_dump(variables | {"authority": "{{ inventory_dir }}/secrets/pki"}))

    def run(self, steps: dict[str, Play], options: tuple[str, ...] = (), cloud: object = None) -> None:
        """Run steps in one run of ansible-playbook; each records the group cloud at its end.

        Args:
            steps: Results of `provision` and `attempt`.
            options: Further ones of ansible-playbook.
            cloud: The group cloud in hosts.yml; None: there is none.
        """
        steps = {name: play for name, play in steps.items() if self.complete or name in EACH_RUN}
        if not steps:
            return
        groups = {"edge": {"hosts": {"jetson": {"ansible_host": "192.0.2.1"}}}} | ({"cloud": cloud} if cloud else {})
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump(groups))
        words = "{{ ansible_user }}@{{ ansible_host }} {{ ansible_port }} {{ authority }}"
        record = {"hosts": "cloud", "gather_facts": False, "tasks": [task("debug", {"msg": words})]}
        plays = {name: [play, record] for name, play in steps.items()}
        program = self.programs / "ansible-playbook"
        self.steps |= run_steps(program, self.inventory, plays, options, environment(self.home))

    def cloud(self, step: str) -> dict[str, str]:
        """User, address, port and authority of each host in the group cloud after a step."""
        return {name: results[0]["msg"] for name, results in self.steps[step].hosts.items() if name != "localhost"}

    def play(self) -> None:
        """Lead VMs from their order to their end."""
        port, late = {"ssh_port": self.port}, {"hostname": "late", "inventory_file": f"{self.inventory}/late.yml"}
        other = {"hostname": "other-server", "inventory_file": f"{self.inventory}/other.yml"}
        main, self.slow.polls, self.vanishing.polls, self.vanishing.cancels_tagged = self.main, -1, -1, True
        orders = {
            "wrong key": attempt(self.fresh, api_key=WRONG_KEY),
            "time-out": attempt(self.slow, wait_timeout=1, **late),
            "vanishing": attempt(self.vanishing, wait_timeout=1),
            "order": provision(main, **port),
            "order another": provision(main, **port, **other),
        }
        self.run(orders, ("-vvv",))
        self.notes["late file"] = (self.inventory / "late.yml").exists()
        self.notes["written"] = self.file.stat().st_mtime_ns
        checks = {
            "check converged": provision(main, **port),
            "check fresh": provision(self.fresh, hostname="fresh", inventory_file=f"{self.inventory}/fresh.yml"),
            "check after time-out": provision(self.slow, **port, **late),
            "check cancel": provision(main, cancel=FQDN),
        }
        self.run(checks, ("--check",))
        self.notes["after check"] = (main.guests[0].leaving, self.file.exists())
        for guest in self.slow.guests:
            guest.polls_left = 1
        self.run({"again": provision(main, **port), "after time-out": provision(self.slow, **port, **late)})
        self.notes["written again"] = self.file.stat().st_mtime_ns

        root_file = self.file.read_text()
        of_the_host = {"ansible_user": "face-admin", "ansible_port": self.moved_port}
        of_the_group = {"ansible_user": "group-admin", "ansible_port": self.moved_port}
        later = {"of the host": provision(main), "of its group": provision(main, **other)}
        later |= {f"{name} again": play for name, play in later.items()}
        self.run(later, cloud={"hosts": {"face-server": of_the_host}, "vars": of_the_group})

        self.file.write_text(root_file.replace("root", "face-admin"))
        (self.inventory / "other.yml").unlink(missing_ok=True)
        earlier = {"ansible_host": "192.0.2.20", "ansible_user": "face-admin", "ansible_port": 2222}
        end = {
            "set in its file": provision(main, **port),
            "another of that name": provision(main, **port, **other),
            "cancel by another name": attempt(main, tasks_from="remove", cancel="face-server"),
            "cancel": provision(main, cancel=FQDN),
            "cancel again": provision(main, cancel=FQDN),
            "order after the end": provision(main, **port, inventory_file=""),
        }
        self.run(end, cloud={"hosts": {"other-server": earlier}})


def provision(api: SoftLayerApi, **settings: object) -> Play:
    """Describe a run of the project's own playbook."""
    return {"import_playbook": str(ROOT / "playbooks/provision.yml"), "vars": variables(api, settings)}


def attempt(api: SoftLayerApi, tasks_from: str = "main", **settings: object) -> Play:
    """Describe an application of the role that fails."""
    return apply_role("localhost", "softlayer_vm", tasks_from=tasks_from, refused=True, vars=variables(api, settings))


def variables(api: SoftLayerApi, settings: dict[str, object]) -> dict[str, object]:
    return {f"softlayer_vm_{name}": value for name, value in {"endpoint": api.endpoint, **settings}.items()}


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Scenario]]:
    """The scenario on the first core, in the full tier on each core, both at once."""
    complete = needs_all_steps(request)
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        ports = [stack.enter_context(greeting()) for _ in range(2)]
        scenarios = {}
        for core in filter(has_library, CORES if complete else ("first-core",)):
            apis = [stack.enter_context(softlayer_api()) for _ in range(4)]
            scenarios[core] = Scenario(tmp_path_factory.mktemp(core), CORES[core], complete, *ports, *apis)
            scenarios[core].prepare()
        list(pool.map(Scenario.play, scenarios.values()))
        yield scenarios


@pytest.fixture(params=EACH_CORE)
def scenario(request: pytest.FixtureRequest, played: dict[str, Scenario]) -> Scenario:
    if request.param not in played:
        pytest.skip(NO_LIBRARY)
    return played[request.param]


def test_only_its_own_playbook_orders_a_vm():
    playbooks = [*ROOT.glob("*.yml"), *ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")]
    named = {each.relative_to(ROOT).as_posix() for each in playbooks if "softlayer_vm" in each.read_text()}
    assert {each for each in named if not each.startswith("roles/softlayer_vm/")} == {"playbooks/provision.yml"}
    importers = [each.name for each in playbooks if re.search(r"import_playbook: .*provision", each.read_text())]
    assert importers == []


@pytest.mark.full
def test_check_mode_prints_the_price_and_orders_nothing(scenario):
    assert "fresh.server.cloud would cost 0.102 USD per hour" in scenario.steps["check fresh"].messages
    assert "fresh" not in scenario.cloud("check fresh")
    assert (scenario.fresh.guests, scenario.fresh.keys, (scenario.inventory / "fresh.yml").exists()) == ([], [], False)


def test_orders_once_and_writes_the_inventory(scenario):
    account = scenario.main
    guest = account.guests[0]
    assert (guest.fqdn, guest.tags) == (FQDN, ["face-app"])
    assert guest.container["location"] == "wdc04"
    assert guest.container["sshKeys"] == [{"sshKeyIds": [account.keys[0]["id"]]}]
    # The same run and a later one know the VM alike, with an authority beside the inventory.
    host = f"root@127.0.0.1 {scenario.port} {scenario.inventory}/secrets/pki"
    assert {scenario.cloud(step)["face-server"] for step in ("order", "again")} == {host}
    assert scenario.steps["again"].changed == 0
    assert scenario.notes["written again"] == scenario.notes["written"]
    assert len(account.keys) == 1


@pytest.mark.full
def test_check_mode_knows_the_vm_and_each_step_is_printed_once(scenario):
    output, checked = scenario.steps["order"].output, "check converged"
    printed = re.findall(r"^other-server.server.cloud: .*, (\w+ \w+)$", output, re.MULTILINE)
    assert printed == ["Assign Host", "Configure Network", "Service Setup"]
    assert scenario.cloud(checked)["face-server"] == scenario.cloud("order")["face-server"]
    assert scenario.steps[checked].changed == 0
    # The last one was ordered after the end of the first.
    assert [each.fqdn for each in scenario.main.guests] == [FQDN, "other-server.server.cloud", FQDN]


@pytest.mark.full
@pytest.mark.parametrize(
    ("step", "host", "user"),
    [("of the host", "face-server", "face-admin"), ("of its group", "other-server", "group-admin")],
)
def test_later_user_and_port_in_the_inventory_win(scenario, step, host, user):
    for each in (step, f"{step} again"):
        assert scenario.cloud(each)[host].startswith(f"{user}@127.0.0.1 {scenario.moved_port} ")
    assert scenario.steps[f"{step} again"].changed == 0


@pytest.mark.full
def test_a_user_written_into_its_own_file_stays(scenario):
    assert scenario.steps["set in its file"].changed == 0
    assert scenario.cloud("set in its file")["face-server"].startswith("face-admin@127.0.0.1 ")


@pytest.mark.full
def test_another_vm_of_that_name_starts_with_root(scenario):
    assert scenario.cloud("another of that name")["other-server"].startswith(f"root@127.0.0.1 {scenario.port} ")


def test_cancels_by_its_name_alone(scenario):
    (refusal,) = scenario.steps["cancel by another name"].errors
    assert refusal.startswith(f"cancel is face-server, and the VM is {FQDN}")
    assert [scenario.steps[step].changed for step in ("cancel by another name", "cancel")] == [0, 2]
    assert not scenario.file.exists()
    assert scenario.main.guests[0].leaving > 0
    assert scenario.main.calls.count("Virtual_Guest.deleteObject") == 1


@pytest.mark.full
def test_check_mode_cancels_nothing_and_a_second_run_changes_nothing(scenario):
    assert [scenario.steps[step].changed for step in ("check cancel", "cancel again")] == [2, 0]
    assert scenario.notes["after check"] == (0, True)
    # It was still listed when the next one was ordered.
    first, _, second = scenario.main.guests
    assert (first.leaving > 1, first.gone, second.leaving) == (True, False, 0)


@pytest.mark.full
def test_waits_for_the_same_vm_after_a_time_out(scenario):
    (error,) = scenario.steps["time-out"].errors
    assert re.match(r"late.server.cloud \(VM 1000\) is not ready after 1 s, last step: [A-Z][a-z]+ [A-Z]", error)
    assert (scenario.cloud("time-out"), scenario.notes["late file"]) == ({}, False)
    assert scenario.steps["check after time-out"].changed == 1, "the inventory's file; it waits for nothing"
    assert scenario.cloud("after time-out")["late"].startswith("root@127.0.0.1 ")
    assert len(scenario.slow.guests) == 1


@pytest.mark.full
def test_a_vm_cancelled_while_it_waits_is_not_ordered_again(scenario):
    (error,) = scenario.steps["vanishing"].errors
    assert "it may have been cancelled: run again to find or order it by name" in error
    assert scenario.vanishing.calls.count("Product_Order.placeOrder") == 1


def test_refuses_a_wrong_api_key_in_one_line_and_logs_no_key(scenario):
    (error,) = scenario.steps["wrong key"].errors
    assert error.startswith("SoftLayer refuses the credentials (Invalid API token); correct username and api_key")
    assert "\n" not in error
    output = scenario.steps["wrong key"].output
    assert "EXEC" in output, "the run was verbose"
    assert not [key for key in (WRONG_KEY, API_KEY) if key in output]


# The module by itself.


@dataclass(frozen=True)
class Module:
    """The module with an account, run as Ansible runs it on the controller."""

    home: Path
    api: SoftLayerApi
    core: str

    def run(self, **options: object) -> dict[str, Any]:
        usual = {
            "hostname": "face-server", "domain": "server.cloud", "tag": "face-app", "cpus": 2, "memory": 4096,
            "datacenter": "wdc04", "os_code": "UBUNTU_24_64", "disks": [100], "key_label": "face-app",
            "public_key_file": str(self.home / "key.pub"),
            "username": USER, "api_key": API_KEY, "endpoint": self.api.endpoint,
        }  # fmt: skip
        done = subprocess.run(
            [CORES[self.core] / "python", ROOT / "plugins/modules/softlayer_vm.py"],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": usual | options}),
            check=False,
            capture_output=True,
            text=True,
            env=environment(self.home),
        )
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def refused(self, **options: object) -> str:
        """Run it; it must fail with one line, order nothing and cancel nothing."""
        result = self.run(**options)
        assert result["failed"]
        assert not {"Product_Order.placeOrder", "Virtual_Guest.deleteObject"} & set(self.api.calls)
        assert "\n" not in result["msg"]
        return str(result["msg"])


@pytest.fixture
def module(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Module]:
    core = getattr(request, "param", "first-core")
    if not has_library(core):
        pytest.skip(NO_LIBRARY)
    make_key(tmp_path)
    with softlayer_api() as api:
        yield Module(tmp_path, api, core)


def test_finds_a_key_under_another_label(module):
    key = (module.home / "key.pub").read_text()
    module.api.add_key(f"{' '.join(key.split()[:2])} operator@elsewhere", "serverKey")
    assert module.run()["changed"]
    assert [each["label"] for each in module.api.keys] == ["serverKey"]
    assert module.api.guests[0].container["sshKeys"] == [{"sshKeyIds": [module.api.keys[0]["id"]]}]


def test_refuses_a_vm_of_that_name_without_the_tag(module):
    guest = module.api.add_guest()
    assert f"VM {guest.id} is called {FQDN} but is not tagged face-app" in module.refused()
    assert "is not tagged face-app" in module.refused(state="absent", cancel=FQDN)
    assert (guest.tags, module.api.keys) == ([], [])


def test_refuses_two_vms_of_that_name(module):
    ids = [module.api.add_guest("face-app").id for _ in range(2)]
    assert f"{FQDN} is the name of VMs {ids[0]} and {ids[1]}" in module.refused()


@pytest.mark.parametrize("module", EACH_CORE, indirect=True)
def test_takes_credentials_of_softlayer_or_of_ibm_cloud(module):
    assert "no credentials for SoftLayer" in module.refused(username="", api_key="")
    result = module.run(username="apikey", _ansible_check_mode=True)
    assert (result["changed"], module.api.guests) == (True, [])


def test_refuses_unsold_items_and_unreadable_keys_in_one_line(module):
    refusal = module.refused(os_code="UBUNTU_16_64")
    assert "Invalid value provided for os: UBUNTU_16_64; correct what it names: os_code" in refusal
    module.api.faults["Account.getVirtualGuests"] = fault("Internal\nerror.")
    assert "does not list the VMs: Internal error" in module.refused()
    assert re.match(
        r"no answer from http://127.0.0.1:9 .*check endpoint", module.refused(endpoint="http://127.0.0.1:9")
    )
    assert "There is no SSH key /nowhere" in module.refused(public_key_file="/nowhere")
    assert "is not a public SSH key" in module.refused(public_key_file=str(module.home / "key"))


def test_finds_its_vm_after_an_interrupted_order(module):
    module.api.faults["Virtual_Guest.setTags"] = fault("Try later.")
    assert "does not tag VM 1000: Try later; run again" in module.run()["msg"]
    module.api.faults.clear()
    module.api.guests[0].tags.append("by-hand")
    module.run()
    assert [each.tags for each in module.api.guests] == [["by-hand", "face-app"]]
