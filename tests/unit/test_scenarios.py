"""What the scenarios of molecule share on one machine, and the tests that run beside them."""

import re
import runpy
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
