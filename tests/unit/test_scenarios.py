"""What the scenarios of molecule share on one machine, and the tests that run beside them."""

import re
import runpy
import shutil
import subprocess
import sys
from ipaddress import ip_address, ip_network
from itertools import combinations

import yaml

from support.playbook import ROOT

PLATFORMS = [
    (file, platform)
    for file in sorted([*ROOT.glob("roles/*/molecule/*/molecule.yml"), *ROOT.glob("tests/molecule/*/molecule.yml")])
    for platform in yaml.safe_load(file.read_text())["platforms"]
    if "network" in platform
]


def test_scenarios_have_networks_that_do_not_overlap():
    networks = {platform["network"]["name"]: ip_network(platform["network"]["subnet"]) for _, platform in PLATFORMS}
    assert len(networks) > 1
    assert [pair for pair in combinations(networks, 2) if networks[pair[0]].overlaps(networks[pair[1]])] == []


def test_hosts_of_scenarios_have_addresses_of_their_own():
    addresses = [ip_address(platform["address"]) for _, platform in PLATFORMS]
    assert len(set(addresses)) == len(addresses)
    for file, platform in PLATFORMS:
        assert ip_address(platform["address"]) in ip_network(platform["network"]["subnet"]), file


def test_each_file_of_host_tests_belongs_to_a_scenario():
    """Otherwise no tier would run it."""
    program = runpy.run_path(str(ROOT / "tests/molecule/run.py"))
    belonging = {file for name in program["scenarios"]() for file in program["tests_of"](name)}
    marked = {file for file in (ROOT / "tests").rglob("*.py") if re.search(r"pytest\.mark\.host\b", file.read_text())}
    assert len(marked) > 5
    assert marked - {ROOT / "tests/molecule/run.py"} == belonging


def test_a_scenario_whose_clips_are_missing_fails_at_once(tmp_path):
    for each in ("tests/molecule/run.py", "roles/capture/molecule/default/molecule.yml"):
        (tmp_path / each).parent.mkdir(parents=True)
        shutil.copy(ROOT / each, tmp_path / each)
    command = [sys.executable, tmp_path / "tests/molecule/run.py", "capture"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].endswith("error: .cache/media/clips is missing; bin/bootstrap fetches it")
