"""The role certificates, applied to this machine: keys stay on their host, and a revocation is final.

Playbook runs apply the role step by step; each step leaves a copy of host and controller. The full tier takes all
steps. That a second run and check mode change nothing is also what the role's molecule scenario asserts in bin/test.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
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
from support.playbook import FIRST
from support.ports import free_port
from support.role_steps import Play, Step, apply_role, needs_all_steps, run_steps, task

GREEK = Path("/usr/share/i18n/locales/el_GR")
SERVER: dict[str, Any] = {
    "name": "cloud-broker",
    "usage": "server",
    "alt_names": ["localhost", "127.0.0.1"],
    "directory": "broker",
}
CLIENT: dict[str, Any] = {"name": "jetson", "usage": "client", "directory": "edge"}
Wanted = Sequence[dict[str, Any]]
EACH_RUN = frozenset({"first", "verify", "verify soon", "again", "revoked", "replaced"})
"""Steps of which tests outside the full tier need the results."""

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="changes the owners of files: needs root"),
    # The first test pays for the whole scenario.
    pytest.mark.timeout(3600),
]


@dataclass
class State:
    """One application of the role: its results, and a copy of the folders ``host`` and ``inventory`` after it."""

    step: Step
    files: Path

    def certificate(self, path: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.files / path).read_bytes())

    @property
    def serial(self) -> int:
        return self.certificate("host/edge/jetson.crt").serial_number

    @property
    def key(self) -> bytes:
        return (self.files / "host/edge/jetson.key").read_bytes()

    @property
    def revocations(self) -> x509.CertificateRevocationList:
        return x509.load_pem_x509_crl((self.files / "inventory/secrets/pki/ca.crl").read_bytes())

    @property
    def revoked(self) -> set[int]:
        return {each.serial_number for each in self.revocations}

    @property
    def contents(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.files)): path.read_bytes() for path in self.files.rglob("*") if path.is_file()
        }

    @contextmanager
    def broker(self, folder: Path) -> Iterator[int]:
        """Run the cloud's broker with the files of the role, copied to a folder; its port."""
        shutil.copytree(self.files / "host/broker", folder)
        broker = Broker("cloud", folder, free_port())
        configure_cloud_broker(broker)
        broker.start()
        try:
            yield broker.port
        finally:
            broker.stop()


@dataclass
class Scenario:
    """This machine as the one host of an inventory.

    Attributes:
        complete: Take all steps, not only those of `EACH_RUN`.
    """

    home: Path
    complete: bool
    states: dict[str, State] = field(default_factory=dict)

    @property
    def live(self) -> Path:
        """The folders that the role works on."""
        return self.home / "live"

    def apply(self, *, before: str = "true", path: str = "", wanted: Wanted = (SERVER, CLIENT), **options: Any) -> Play:
        """Describe a play that applies the role.

        Args:
            before: Shell command on the host before it.
            path: Searched for programs before PATH.
            wanted: Certificates.
            options: Of `apply_role`, and settings of the role.
        """
        settings = {name: options.pop(name) for name in list(options) if name.startswith("certificates_")} | {
            "certificates_wanted": [each | {"directory": f"{self.live}/host/{each['directory']}"} for each in wanted],
            "certificates_metrics_directory": f"{self.live}/host/metrics",
        }
        environment = {"PATH": f"{path}:{os.environ['PATH']}"} if path else {}
        first = task("shell", before, register="before", changed_when=False)
        return apply_role("box", "certificates", vars=settings, environment=environment, pre_tasks=[first], **options)

    def run(self, steps: dict[str, Play], options: tuple[str, ...] = (), **environment: str) -> None:
        """Run steps in one run of ansible-playbook; copy the folders after each, in check mode after all."""
        steps = {name: play for name, play in steps.items() if self.complete or name in EACH_RUN}
        if not steps:
            return
        copies = {name: self.home / "copies" / name for name in steps}
        plays = {
            name: [
                play
                | {
                    "post_tasks": [
                        task("command", {"argv": ["cp", "-a", str(self.live), str(copies[name])]}, changed_when=False)
                    ]
                }
            ]
            for name, play in steps.items()
        }
        done = run_steps(FIRST / "ansible-playbook", self.live / "inventory", plays, options, os.environ | environment)
        for name, step in done.items():
            if options:
                shutil.copytree(self.live, copies[name])
            self.states[name] = State(step, copies[name])

    def play(self) -> None:
        """Lead certificates from their first issue to their revocation."""
        for folder in ("live/inventory", "copies", "impostor"):
            (self.home / folder).mkdir(parents=True)
        box = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
        (self.live / "inventory/hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"box": box}}}))
        host, pki = f"{self.live}/host", f"{self.live}/inventory/secrets/pki"
        by_name: dict[str, Any] = {"wanted": [SERVER], "certificates_revoked": ["jetson"]}
        serial = "openssl x509 -noout -serial -in {}/edge/jetson.crt | cut -d= -f2 | "
        swap_keys = f"cp {host}/broker/cloud-broker.key {host}/edge/jetson.key; rm {host}/broker/*.key"
        # As the role once did: key, request and certificate on the controller, copies on the host.
        early = (
            f"mv {pki}/issued/jetson/$({serial.format(host)} tr A-F a-f).crt {pki}/jetson.crt;"
            f" cp {host}/edge/jetson.key {pki}/jetson.key; touch {pki}/jetson.csr"
        )
        self.run({"fresh check": self.apply()}, ("--check",))
        issues = {
            "first": self.apply(),
            "verify": self.apply(tasks_from="verify"),
            "verify soon": self.apply(tasks_from="verify", certificates_alarm_days=398),
            "near its end": self.apply(certificates_remaining_days=398, certificates_days=399),
            "lost keys": self.apply(before=swap_keys),
            "early": self.apply(before=early),
            "again": self.apply(),
        }
        self.run(issues)
        self.run({"check": self.apply(), "check revocation": self.apply(**by_name)}, ("--check",))
        if self.complete and GREEK.exists():
            locale = ["localedef", "--inputfile=el_GR", "--charmap=UTF-8", self.home / "el_GR.UTF-8"]
            subprocess.run(locale, check=True, capture_output=True)
            dates = self.apply(before=f"rm {host}/metrics/*")
            self.run({"greek": dates}, LOCPATH=str(self.home), LC_ALL="el_GR.UTF-8")
        openssl = self.home / "impostor/openssl"
        openssl.write_text(
            '#!/bin/sh\n[ $1 = req ] || exec /usr/bin/openssl "$@"\nsed s/new-edge/other/ | /usr/bin/openssl "$@"\n'
        )
        openssl.chmod(0o755)
        more_names = SERVER | {"alt_names": ["localhost", "127.0.0.1", "cloud.example.org"]}
        with_colons = serial.format(host) + "sed 's/../&:/g; s/:$//'"
        as_in_file_names = serial.format(f"{self.home}/copies/replaced/host") + "tr A-F a-f"
        longer = {"certificates_authority_days": 9000, "certificates_authority_remaining_days": 8000}
        revocations = {
            "revoked": self.apply(**by_name),
            "revoked again": self.apply(**by_name),
            "wanted and revoked": self.apply(refused=True, certificates_revoked=["jetson"]),
            "replaced": self.apply(),
            "serial": self.apply(wanted=[CLIENT], before=with_colons, certificates_revoked=["{{ before.stdout }}"]),
            "serial again": self.apply(
                wanted=[CLIENT], before=as_in_file_names, certificates_revoked=["{{ before.stdout }}"]
            ),
            "unknown name": self.apply(refused=True, certificates_revoked=["jetsom"]),
            "authority and address": self.apply(wanted=[more_names, CLIENT], **longer),
            "impostor": self.apply(refused=True, path=str(openssl.parent), wanted=[CLIENT | {"name": "new-edge"}]),
            "two folders": self.apply(
                wanted=[CLIENT | {"directory": "camera"}, CLIENT], certificates_days=450, certificates_remaining_days=1
            ),
        }
        self.run(revocations)


@pytest.fixture(scope="module")
def states(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, State]:
    scenario = Scenario(tmp_path_factory.mktemp("certificates"), needs_all_steps(request))
    scenario.play()
    return scenario.states


@pytest.mark.full
def test_check_mode_on_a_fresh_host_lists_certificates_and_changes_nothing(states):
    state = states["fresh check"]
    assert state.step.changed > 0
    assert "jetson (client)" in state.step.messages
    assert list(state.contents) == ["inventory/hosts.yml"]


def test_a_second_run_changes_nothing(states):
    assert (states["first"].step.changed > 0, states["again"].step.changed) == (True, 0)


@pytest.mark.full
def test_check_mode_changes_nothing(states):
    assert states["check"].step.changed == 0
    assert states["early"].contents == states["again"].contents == states["check"].contents


def test_a_key_is_on_its_host_and_nowhere_else(states):
    state = states["first"]
    on_controller = [path for path in state.contents if path.startswith("inventory") and not path.endswith(".crt")]
    authority = [f"inventory/secrets/pki/ca.{kind}" for kind in ("crl", "csr", "key")]
    assert sorted(on_controller) == ["inventory/hosts.yml", *authority]
    for name in ("host/broker/cloud-broker.key", "host/edge/jetson.key"):
        key = state.contents[name]
        assert b"PRIVATE KEY" in key
        stat = (state.files / name).stat()
        assert (oct(stat.st_mode)[-4:], stat.st_gid) == ("0440", 10001)
        assert [path for path, data in state.contents.items() if data == key] == [name]
    assert not list((state.files / "host/edge/.new").iterdir())


@pytest.mark.parametrize(
    "name",
    [
        "first",
        *(
            pytest.param(name, marks=pytest.mark.full)
            for name in ("near its end", "lost keys", "authority and address")
        ),
    ],
)
def test_a_broker_accepts_the_issued_certificates(states, name, tmp_path):
    with states[name].broker(tmp_path / "broker") as port:
        edge = states[name].files / "host/edge"
        assert with_certificate(port, edge, "jetson").publish("face_app/jetson/front").accepted
        assert alert(port, edge, "jetson") == ""


def test_the_dates_are_those_of_the_files(states):
    state = states["first"]
    dates = state.contents["host/metrics/certificates-box.prom"].decode()
    expiry = state.certificate("host/edge/jetson.crt").not_valid_after_utc
    assert expiry > datetime.now(timezone.utc) + timedelta(days=396)
    assert f'{{name="jetson",kind="certificate"}} {int(expiry.timestamp())}\n' in dates
    authority = state.certificate("host/edge/ca.crt").not_valid_after_utc
    assert f'{{name="ca",kind="authority"}} {int(authority.timestamp())}\n' in dates
    assert 'name="ca",kind="revocations"' in dates


@pytest.mark.full
def test_a_name_in_two_folders_has_one_date_which_is_the_first(states):
    state = states["two folders"]
    lines = state.contents["host/metrics/certificates-box.prom"].decode().splitlines()
    first, second = (
        state.certificate(f"host/{folder}/jetson.crt").not_valid_after_utc for folder in ("edge", "camera")
    )
    assert first < second
    assert [line.rsplit(" ", 1)[1] for line in lines if 'name="jetson"' in line] == [str(int(first.timestamp()))]


@pytest.mark.full
@pytest.mark.skipif(not GREEK.exists(), reason="no source of a Greek locale here")
def test_the_dates_are_the_same_in_a_locale_with_other_months(states):
    file = "host/metrics/certificates-box.prom"
    assert states["greek"].contents[file] == states["again"].contents[file]


def test_verify_warns_of_an_early_expiry_and_of_nothing_else(states):
    assert "WARNING" not in states["verify"].step.messages
    last = states["first"].certificate("host/edge/jetson.crt").not_valid_after_utc
    warnings = states["verify soon"].step.messages
    assert f"WARNING: box: the last day of certificate jetson is {last:%Y-%m-%d}" in warnings
    assert "authority" not in warnings


@pytest.mark.full
def test_renews_a_certificate_near_its_end_with_another_key(states):
    before, state = states["first"], states["near its end"]
    assert state.step.changed > 0
    assert state.serial != before.serial
    assert state.key != before.key
    server = "host/broker/cloud-broker.crt"
    assert state.certificate(server).serial_number != before.certificate(server).serial_number
    assert state.revoked == set()


@pytest.mark.full
def test_replaces_the_certificate_of_a_lost_or_foreign_key(states):
    assert states["lost keys"].serial != states["near its end"].serial


@pytest.mark.full
def test_another_address_of_a_server_issues_a_new_certificate(states):
    state = states["authority and address"]
    extensions = state.certificate("host/broker/cloud-broker.crt").extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "cloud.example.org"]
    assert state.serial == states["serial again"].serial


def test_a_revoked_certificate_is_refused_and_its_successor_accepted(states, tmp_path):
    # The edge is lost and its name is on the list: the play of the cloud runs. Then it gets another one.
    stolen, state, replaced = states["again"].serial, states["revoked"], states["replaced"]
    assert stolen in state.revoked
    assert state.contents["host/broker/ca.crl"] == state.contents["inventory/secrets/pki/ca.crl"]
    assert replaced.serial != stolen
    assert stolen in replaced.revoked
    assert replaced.serial not in replaced.revoked
    with replaced.broker(tmp_path / "broker") as port:
        edge, thief = replaced.files / "host/edge", states["again"].files / "host/edge"
        trusted = edge / "ca.crt"
        stolen_identity = with_certificate(port, thief, "jetson", authority=trusted)
        assert not stolen_identity.publish("face_app/jetson/front").accepted
        assert alert(port, thief, "jetson", authority=trusted) == "SSLV3_ALERT_CERTIFICATE_REVOKED"
        assert with_certificate(port, edge, "jetson").publish("face_app/jetson/front").accepted


@pytest.mark.full
def test_revokes_each_certificate_of_a_name_and_issues_none_meanwhile(states):
    stolen, state = states["again"].serial, states["revoked"]
    assert states["check revocation"].step.changed > 0
    assert states["check"].revoked == set(), "a run in check mode"
    issued = [path for path in state.contents if path.startswith("inventory/secrets/pki/issued/jetson/")]
    assert len(state.revoked) == len(issued) + 1 > 2, "each one it had, and the one of an early version"
    assert states["revoked again"].step.changed == 0

    # No host gets a certificate of the name while it is on the list.
    refused = states["wanted and revoked"]
    assert (len(refused.step.errors), refused.serial) == (1, stolen)
    assert f"{stolen:040x}" in refused.step.messages


@pytest.mark.full
def test_replaces_a_revoked_serial_in_the_same_run(states):
    serial, state = states["replaced"].serial, states["serial"]
    assert serial in state.revoked
    assert state.serial != serial
    assert states["serial again"].step.changed == 0


@pytest.mark.full
def test_refuses_to_revoke_a_name_without_a_certificate(states):
    state = states["unknown name"]
    assert state.step.errors
    assert "contains no certificate of that name" in state.step.messages


@pytest.mark.full
def test_renews_authority_and_list_long_before_their_end_with_the_same_key(states):
    before, state = states["serial again"], states["authority and address"]
    authority, renewed = (each.certificate("host/edge/ca.crt") for each in (before, state))
    later = authority.not_valid_after_utc + timedelta(days=1500)
    assert renewed.not_valid_after_utc > later
    assert (renewed.public_key(), renewed.subject) == (authority.public_key(), authority.subject)
    assert state.revocations.next_update_utc is not None
    assert state.revocations.next_update_utc > later
    assert state.contents["host/broker/ca.crl"] == state.contents["inventory/secrets/pki/ca.crl"]
    assert state.revoked == before.revoked
    # An earlier certificate stays as it is.
    assert state.serial == before.serial


@pytest.mark.full
def test_replaces_a_key_that_was_made_on_the_controller(states):
    old, state = states["lost keys"].serial, states["early"]
    assert state.serial != old
    files = sorted(path.name for path in (state.files / "inventory/secrets/pki").iterdir())
    assert files == ["ca.crl", "ca.crt", "ca.csr", "ca.key", "issued", "jetson.crt"]
    assert states["again"].step.changed == 0
    # The old certificate can still be revoked by its name.
    assert old in states["revoked"].revoked


@pytest.mark.full
def test_a_host_that_requests_another_name_gets_no_certificate(states):
    before, state = states["authority and address"], states["impostor"]
    assert state.step.errors
    assert "Check whether another person controls that host" in state.step.messages
    assert "new-edge.crt" not in {path.name for path in state.files.rglob("*")}
    issued = [sorted(path.parts[-2:] for path in each.files.rglob("issued/*/*.crt")) for each in (before, state)]
    assert issued[0] == issued[1]
    certificates = [x509.load_pem_x509_certificate(path.read_bytes()) for path in state.files.rglob("issued/*/*.crt")]
    names = {each.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for each in certificates}
    assert names == {"cloud-broker", "jetson"}
