"""The role certificates, run on this machine: keys stay on their host, and what is revoked stays so."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from support.brokers import Broker, configure_cloud_broker
from support.clients import alert, with_certificate
from support.playbook import run_playbooks
from support.ports import free_port

ROOT = Path(__file__).parents[2]
WANTED = [
    {"name": "cloud-broker", "usage": "server", "alt_names": ["localhost", "127.0.0.1"], "directory": "broker"},
    {"name": "jetson", "usage": "client", "directory": "edge"},
]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away to other owners: needs root")


@dataclass
class Host:
    """This machine as the one host of an inventory.

    Attributes:
        home: Of the inventory, and of the folders on the host.
        settings: The role's.
    """

    home: Path
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def pki(self) -> Path:
        return self.home / "inventory/secrets/pki"

    def play(self, *options: str, tasks_from: str = "main", **settings: object) -> dict[str, Any]:
        """Run the role.

        Args:
            options: Of ansible-playbook.
            tasks_from: Which of its files.
            settings: Besides self.settings.

        Returns:
            What Ansible tells: ``rc``, ``changed``, ``failed``, ``messages``.
        """
        (self.home / "inventory").mkdir(exist_ok=True)
        (self.home / "inventory/hosts.yml").write_text(
            "all: {hosts: {box: {ansible_connection: local, ansible_python_interpreter: /usr/bin/python3}}}\n"
        )
        wanted = [each | {"directory": f"{self.home}/host/{each['directory']}"} for each in WANTED]
        variables = {"certificates_wanted": wanted, "certificates_metrics_directory": f"{self.home}/host/metrics"}
        role = {"name": "certificates", "tasks_from": tasks_from}
        task = {"ansible.builtin.include_role": role, "vars": variables | self.settings | settings}
        play = {"hosts": "box", "gather_facts": False, "become": False, "tasks": [task]}
        (self.home / "play.yml").write_text(yaml.safe_dump([play]))
        program = Path(sys.executable).with_name("ansible-playbook")
        played = run_playbooks(program, self.home / "inventory", [self.home / "play.yml"], options)
        results = [each["box"] for each in played.results if "box" in each]
        results += [item for result in results for item in result.get("results", [])]
        return {
            "rc": played.rc,
            "changed": played.stats["box"]["changed"],
            "failed": played.stats["box"]["failures"],
            "messages": [str(each["msg"]) for each in results if "msg" in each],
        }

    def run(self, **settings: object) -> dict[str, Any]:
        """Run the role, which must succeed."""
        told = self.play(**settings)
        assert told["rc"] == 0, told["messages"][-1]
        return told

    def certificate(self, path: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.home / path).read_bytes())

    def serial(self) -> int:
        return self.certificate("host/edge/jetson.crt").serial_number

    def revoked(self) -> set[int]:
        revocations = x509.load_pem_x509_crl((self.home / "host/broker/ca.crl").read_bytes())
        return {each.serial_number for each in revocations}

    def files(self) -> dict[str, bytes]:
        """What is on the host and on the controller."""
        return {
            str(path.relative_to(self.home)): path.read_bytes()
            for folder in ("host", "inventory")
            for path in (self.home / folder).rglob("*")
            if path.is_file()
        }


@contextmanager
def running_broker(host: Host) -> Iterator[int]:
    """The cloud's broker with what the role put beside it; its port."""
    broker = Broker("cloud", host.home / "host/broker", free_port())
    configure_cloud_broker(broker)
    broker.start()
    try:
        yield broker.port
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host that has had one run."""
    made = Host(tmp_path_factory.mktemp("host"))
    assert made.run()["changed"] > 0
    return made


def test_check_mode_on_a_fresh_host_tells_and_changes_nothing(tmp_path):
    fresh = Host(tmp_path)
    told = fresh.play("--check")
    assert (told["rc"], told["changed"] > 0) == (0, True), told["messages"]
    assert "jetson (client)" in told["messages"]
    assert list(fresh.files()) == ["inventory/hosts.yml"]


def test_a_second_run_changes_nothing_nor_does_check_mode(host):
    before = host.files()
    assert host.run()["changed"] == 0
    assert host.play("--check")["changed"] == 0
    assert host.files() == before


def test_keys_are_on_their_host_and_nowhere_else(host):
    on_controller = [path for path in host.files() if path.startswith("inventory") and not path.endswith(".crt")]
    assert sorted(on_controller) == [
        "inventory/hosts.yml",
        *(f"inventory/secrets/pki/ca.{kind}" for kind in ("crl", "csr", "key")),
    ]
    for name in ("broker/cloud-broker", "edge/jetson"):
        key = host.home / f"host/{name}.key"
        assert b"PRIVATE KEY" in key.read_bytes()
        assert (oct(key.stat().st_mode)[-4:], key.stat().st_gid) == ("0440", 10001)
        assert not [
            path for path, data in host.files().items() if data == key.read_bytes() and path != f"host/{name}.key"
        ]
    assert not list((host.home / "host/edge/.new").iterdir())


def test_a_broker_takes_what_the_role_issued(host):
    with running_broker(host) as port:
        assert with_certificate(port, host.home / "host/edge", "jetson").publish("face_app/jetson/front").accepted
        assert alert(port, host.home / "host/edge", "jetson") == ""


def test_the_dates_are_those_of_the_files(host):
    dates = (host.home / "host/metrics/certificates-box.prom").read_text()
    expiry = host.certificate("host/edge/jetson.crt").not_valid_after_utc
    assert expiry > datetime.now(timezone.utc) + timedelta(days=396)
    assert f'{{name="jetson",kind="certificate"}} {int(expiry.timestamp())}\n' in dates
    authority = host.certificate("host/edge/ca.crt").not_valid_after_utc
    assert f'{{name="ca",kind="authority"}} {int(authority.timestamp())}\n' in dates
    assert 'name="ca",kind="revocations"' in dates


@pytest.mark.skipif(not Path("/usr/share/i18n/locales/el_GR").exists(), reason="no source of a Greek locale here")
def test_the_dates_are_the_same_where_every_month_has_another_name(host, tmp_path, monkeypatch):
    command = ["localedef", "--inputfile=el_GR", "--charmap=UTF-8", tmp_path / "el_GR.UTF-8"]
    subprocess.run(command, check=True, capture_output=True)
    dates = host.home / "host/metrics/certificates-box.prom"
    before = dates.read_text()
    dates.unlink()
    monkeypatch.setenv("LOCPATH", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "el_GR.UTF-8")
    host.run()
    assert dates.read_text() == before


def test_verify_warns_of_what_expires_soon_and_of_nothing_else(host):
    assert not [line for line in host.play(tasks_from="verify")["messages"] if "WARNING" in line]
    warnings = host.play(tasks_from="verify", certificates_alarm_days=398)["messages"]
    last = host.certificate("host/edge/jetson.crt").not_valid_after_utc
    assert f"WARNING: box: the last day of certificate jetson is {last:%Y-%m-%d}" in "".join(warnings)
    assert "authority" not in "".join(warnings)


def test_a_certificate_near_its_end_is_issued_anew_with_another_key(host):
    before, key = host.serial(), (host.home / "host/edge/jetson.key").read_bytes()
    server = host.certificate("host/broker/cloud-broker.crt").serial_number
    told = host.run(certificates_remaining_days=398, certificates_days=399)
    assert told["changed"] > 0
    assert host.serial() != before
    assert (host.home / "host/edge/jetson.key").read_bytes() != key
    assert host.certificate("host/broker/cloud-broker.crt").serial_number != server
    assert host.revoked() == set()
    test_a_broker_takes_what_the_role_issued(host)


def test_a_lost_or_foreign_key_gets_a_certificate_anew(host):
    before = host.serial()
    (host.home / "host/edge/jetson.key").write_bytes((host.home / "host/broker/cloud-broker.key").read_bytes())
    (host.home / "host/broker/cloud-broker.key").unlink()
    host.run()
    assert host.serial() != before
    test_a_broker_takes_what_the_role_issued(host)


def test_another_address_of_a_server_issues_its_certificate_anew(host):
    before = host.serial()
    wanted = [WANTED[0] | {"alt_names": ["localhost", "127.0.0.1", "cloud.example.org"]}, WANTED[1]]
    wanted = [each | {"directory": f"{host.home}/host/{each['directory']}"} for each in wanted]
    host.run(certificates_wanted=wanted)
    names = host.certificate("host/broker/cloud-broker.crt").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost", "cloud.example.org"]
    assert host.serial() == before


def test_a_revoked_name_is_refused_and_its_serials_stay_refused(host, tmp_path):
    stolen = host.serial()
    for kind in ("crt", "key"):
        (tmp_path / f"jetson.{kind}").write_bytes((host.home / f"host/edge/jetson.{kind}").read_bytes())
    # The edge is gone, and its name on the list: the play of the cloud runs.
    wanted = [WANTED[0] | {"directory": f"{host.home}/host/broker"}]
    list_before = (host.home / "host/broker/ca.crl").read_bytes()
    assert host.play("--check", certificates_wanted=wanted, certificates_revoked=["jetson"])["changed"] > 0
    assert (host.home / "host/broker/ca.crl").read_bytes() == list_before
    host.run(certificates_wanted=wanted, certificates_revoked=["jetson"])
    assert stolen in host.revoked()
    # All it ever had, not only the last one.
    assert len(host.revoked()) == len(list((host.pki / "issued/jetson").iterdir())) > 1
    assert host.run(certificates_wanted=wanted, certificates_revoked=["jetson"])["changed"] == 0

    # As long as the name is there, nobody gets it.
    refused = host.play(certificates_revoked=["jetson"])
    assert (refused["rc"], host.serial()) == (2, stolen)
    assert f"{stolen:040x}" in "".join(refused["messages"])

    # Its replacement.
    host.run()
    assert host.serial() != stolen
    assert stolen in host.revoked()
    assert host.serial() not in host.revoked()
    assert host.run()["changed"] == 0
    with running_broker(host) as port:
        trusted = host.home / "host/edge/ca.crt"
        thief = with_certificate(port, tmp_path, "jetson", authority=trusted)
        assert not thief.publish("face_app/jetson/front").accepted
        assert alert(port, tmp_path, "jetson", authority=trusted) == "SSLV3_ALERT_CERTIFICATE_REVOKED"
        assert with_certificate(port, host.home / "host/edge", "jetson").publish("face_app/jetson/front").accepted


def test_a_revoked_serial_is_replaced_in_the_same_run(host):
    serial = host.serial()
    colons = ":".join(f"{serial:040X}"[at : at + 2] for at in range(0, 40, 2))
    host.run(certificates_revoked=[colons])
    assert serial in host.revoked()
    assert host.serial() != serial
    assert host.run(certificates_revoked=[f"{serial:040x}"])["changed"] == 0


def test_a_name_that_nobody_had_is_a_mistake(host):
    told = host.play(certificates_revoked=["jetsom"])
    assert told["rc"] == 2
    assert "holds no certificate of that name" in "".join(told["messages"])


def test_authority_and_list_are_signed_anew_long_before_their_end_with_the_same_key(host):
    authority, serial, revoked = host.certificate("host/edge/ca.crt"), host.serial(), host.revoked()
    host.run(certificates_authority_days=9000, certificates_authority_remaining_days=8000)
    renewed = host.certificate("host/edge/ca.crt")
    assert renewed.not_valid_after_utc > authority.not_valid_after_utc + timedelta(days=1500)
    assert (renewed.public_key(), renewed.subject) == (authority.public_key(), authority.subject)
    revocations = x509.load_pem_x509_crl((host.home / "host/broker/ca.crl").read_bytes())
    assert revocations.next_update_utc is not None
    assert revocations.next_update_utc > authority.not_valid_after_utc + timedelta(days=1500)
    assert host.revoked() == revoked
    # What it issued before is as good as ever.
    assert host.serial() == serial
    test_a_broker_takes_what_the_role_issued(host)


def test_an_installation_with_keys_on_the_controller_gets_others(host):
    """As the role did it before: key, request and certificate on the controller, copies on the host."""
    old = host.serial()
    (issued,) = (host.pki / "issued/jetson").glob(f"{old:040x}.crt")
    issued.rename(host.pki / "jetson.crt")
    (host.pki / "jetson.key").write_bytes((host.home / "host/edge/jetson.key").read_bytes())
    (host.pki / "jetson.csr").write_bytes(b"a request")
    host.run()
    assert host.serial() != old
    assert sorted(path.name for path in host.pki.iterdir()) == [
        "ca.crl",
        "ca.crt",
        "ca.csr",
        "ca.key",
        "issued",
        "jetson.crt",
    ]
    assert host.run()["changed"] == 0
    # What the old key had can still be revoked by its name.
    host.run(
        certificates_wanted=[WANTED[0] | {"directory": f"{host.home}/host/broker"}], certificates_revoked=["jetson"]
    )
    assert old in host.revoked()


def test_a_host_that_asks_for_anothers_name_gets_nothing(tmp_path):
    host = Host(tmp_path)
    program = tmp_path / "bin/openssl"
    program.parent.mkdir()
    # Somebody holds the box and has put his own openssl there.
    program.write_text(
        '#!/bin/sh\n[ "$1" = req ] || exec /usr/bin/openssl "$@"\nsed s/jetson/subscriber-1/ | /usr/bin/openssl "$@"\n'
    )
    program.chmod(0o755)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{program.parent}:{path}"
    try:
        told = host.play()
    finally:
        os.environ["PATH"] = path
    assert told["rc"] == 2
    assert "Find out who runs that host" in "".join(told["messages"])
    assert not list((host.pki / "issued").glob("jetson/*"))
    assert [
        each.value
        for path in host.pki.rglob("issued/*/*.crt")
        for each in x509.load_pem_x509_certificate(path.read_bytes()).subject.get_attributes_for_oid(
            NameOID.COMMON_NAME
        )
    ] == ["cloud-broker"]
