"""The role ec2_vm orders the cloud's VM once, finds it in each later run, and terminates it by its name alone."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.ec2 import ENDPOINT, Ec2, ec2
from support.playbook import FIRST, ROOT
from support.role_steps import Play, Step, apply_role, run_steps, task

pytestmark = [pytest.mark.root, pytest.mark.full, pytest.mark.timeout(3600)]

NOBLE = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-"
IMAGES = {
    "ami-00000001": f"{NOBLE}20260101",
    "ami-00000003": f"{NOBLE}20261101",
    "ami-00000002": f"{NOBLE}20260601",
    "ami-00000004": "ubuntu/images/hvm-ssd-gp3/ubuntu-questing-25.10-amd64-server-20261120",
}


@dataclass
class Scenario:
    """An operator's inventory without a cloud, and an account.

    Attributes:
        notes: Observations between two runs.
    """

    home: Path
    account: Ec2
    steps: dict[str, Step] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.home / "inventory/ec2_vm.yml"

    def instances(self, state: str = "running") -> list[dict[str, Any]]:
        found = json.loads(self.account.call("describe_instances"))["Reservations"]
        every = [each for reservation in found for each in reservation["Instances"]]
        return [each for each in every if each["State"]["Name"] == state]

    def groups(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.account.call("describe_security_groups"))["SecurityGroups"]
        return [each for each in found if each["GroupName"] != "default"]

    def prepare(self) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.home / "key"], check=True)
        file = self.home / "inventory/group_vars/all/vars.yml"
        file.parent.mkdir(parents=True)
        settings = {
            "endpoint": ENDPOINT,
            "access_key": "tester",
            "secret_key": "a-secret-of-the-vault",
            "public_key_file": f"{self.home}/key.pub",
            "ssh_from": ["203.0.113.7/32"],
        }
        file.write_text(yaml.safe_dump({f"ec2_vm_{name}": value for name, value in settings.items()}))
        (self.home / "inventory/hosts.yml").write_text(yaml.safe_dump({"edge": {"hosts": {"jetson": {}}}}))

    def run(self, steps: dict[str, Play], *options: str) -> None:
        """Run steps in one run of ansible-playbook where the account is; each records the group cloud at its end."""
        record = {
            "hosts": "cloud",
            "gather_facts": False,
            "tasks": [task("debug", {"msg": "{{ ansible_user }}@{{ ansible_host }} {{ ansible_port }}"})],
        }
        program = self.home / "ansible-playbook"
        program.write_text(f'#!/bin/sh\nexec {" ".join(self.account.command(FIRST / "ansible-playbook"))} "$@"\n')
        program.chmod(0o755)
        plays = {name: [play, record] for name, play in steps.items()}
        environment = {**os.environ, "HOME": str(self.home)}
        self.steps |= run_steps(program, self.home / "inventory", plays, options, environment)

    def play(self) -> None:
        """Lead a VM from its order to its end."""
        self.run({"check fresh": provision()}, "--check")
        self.notes["after check"] = (self.instances(), self.groups(), self.file.exists())
        self.run(
            {
                "closed": attempt(ssh_from=[]),
                "no image": attempt(image_name="ubuntu/none-*"),
                "order": provision(),
                "again": provision(),
                "foreign": attempt(tag="another-project"),
                "another name": attempt("remove", terminate="face-serve"),
            },
            "-vvv",
        )
        self.notes["instances"], self.notes["groups"] = self.instances(), self.groups()
        self.notes["written"] = yaml.safe_load(self.file.read_text())
        self.account.call("create_security_group", '{"GroupName": "other", "Description": "of another project"}')
        self.run(
            {"foreign group": attempt(name="other"), "foreign end": attempt("remove", name="other", terminate="other")}
        )
        self.notes["foreign groups"] = [each["GroupName"] for each in self.groups()]
        self.account.call("delete_security_group", '{"GroupName": "other"}')
        self.run({"check again": provision(), "check end": provision(ec2_vm_terminate="face-server")}, "--check")
        self.notes["after check end"] = (len(self.instances()), self.file.exists())
        end = {"ec2_vm_terminate": "face-server"}
        self.run({"end": provision(**end), "end again": provision(**end)})
        self.notes["end"] = (self.instances(), self.groups(), self.file.exists())


def provision(**variables: object) -> Play:
    """Describe a run of the project's own playbook."""
    return {"import_playbook": str(ROOT / "playbooks/provision.yml"), "vars": {"provision_at": "ec2", **variables}}


def attempt(tasks_from: str = "main", **settings: object) -> Play:
    """Describe an application of the role that fails."""
    variables = {f"ec2_vm_{name}": value for name, value in settings.items()}
    return apply_role("localhost", "ec2_vm", tasks_from=tasks_from, refused=True, vars=variables)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    if os.geteuid() != 0 or not shutil.which("nsenter"):
        pytest.skip("a network namespace needs root")
    home = tmp_path_factory.mktemp("ec2")
    with ec2(home, IMAGES) as account:
        played = Scenario(home, account)
        played.prepare()
        played.play()
        yield played


def test_check_mode_creates_nothing(scenario):
    assert scenario.notes["after check"] == ([], [], False)
    assert scenario.steps["check fresh"].changed > 0
    assert not scenario.steps["check fresh"].errors


def test_orders_one_vm_from_the_newest_image(scenario):
    (instance,) = scenario.notes["instances"]
    assert instance["ImageId"] == "ami-00000003"
    assert {each["Key"]: each["Value"] for each in instance["Tags"]} == {"Name": "face-server", "app": "face-app"}
    assert instance["KeyName"].startswith("face-app-")


def test_a_later_run_changes_nothing(scenario):
    assert [scenario.steps[step].changed for step in ("again", "check again")] == [0, 0]


def test_ssh_is_open_to_named_networks_alone(scenario):
    (group,) = scenario.notes["groups"]
    opened = {
        (rule["FromPort"], rule["ToPort"], network["CidrIp"])
        for rule in group["IpPermissions"]
        for network in rule["IpRanges"]
    }
    assert opened == {(22, 22, "203.0.113.7/32"), (8883, 8883, "0.0.0.0/0")}
    (error,) = scenario.steps["closed"].errors
    assert error.startswith("ec2_vm_ssh_from is empty")


def test_the_vm_is_in_this_run_and_in_the_inventory(scenario):
    address = scenario.notes["instances"][0]["PublicIpAddress"]
    assert scenario.steps["order"].hosts["face-server"][0]["msg"] == f"ubuntu@{address} 22"
    assert scenario.notes["written"]["cloud"]["hosts"]["face-server"]["ansible_host"] == address
    assert scenario.notes["written"]["ec2_vm"]["vars"]["ansible_user"] == "ubuntu"


def test_refusals_name_what_to_change(scenario):
    assert "has no image ubuntu/none-*" in scenario.steps["no image"].errors[0]
    assert "it is not tagged app=another-project" in scenario.steps["foreign"].errors[0]
    assert (
        scenario.steps["another name"].errors[0].startswith("ec2_vm_terminate is face-serve, and the VM is face-server")
    )


def test_a_security_group_of_others_is_neither_changed_nor_deleted(scenario):
    for step in ("foreign group", "foreign end"):
        assert "other is the name of the security group sg-" in scenario.steps[step].errors[0]
        assert "it is not tagged app=face-app" in scenario.steps[step].errors[0]
    assert sorted(scenario.notes["foreign groups"]) == ["face-server", "other"]


def test_a_deletion_at_the_other_provider_orders_nothing():
    command = [
        FIRST / "ansible-playbook",
        "-i",
        "localhost,",
        ROOT / "playbooks/provision.yml",
        "-e",
        "ec2_vm_terminate=x",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "provision_at is softlayer. Set it to ec2 to delete the VM there." in done.stdout


def test_terminates_by_its_name_alone(scenario):
    assert scenario.notes["after check end"] == (1, True)
    assert scenario.steps["end"].changed == 3
    assert scenario.steps["end again"].changed == 0
    assert scenario.notes["end"] == ([], [], False)
    assert len(scenario.instances("terminated")) == 1


def test_no_secret_is_logged(scenario):
    output = "".join(step.output for step in scenario.steps.values())
    assert "a-secret-of-the-vault" not in output
