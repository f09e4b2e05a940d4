"""Facts are cached in a file on the controller, so they must not contain secrets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.playbook import CORES, ROOT, run_playbooks

SECRET = "only-for-this-test"
PLACES = sorted(
    [
        *ROOT.glob("*.yml"),
        *ROOT.glob("playbooks/**/*.yml"),
        *ROOT.glob("roles/*/tasks/*.yml"),
        *ROOT.glob("roles/*/molecule/**/*.yml"),
    ]
)


class Loader(yaml.CSafeLoader):
    """Loads values with Ansible's own tags as plain values."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def subsets(part: Any) -> Iterator[list[str]]:
    """Yield each gather_subset of a document."""
    if isinstance(part, dict):
        yield from (value for name, value in part.items() if name == "gather_subset")
    if isinstance(part, (dict, list)):
        for each in part.values() if isinstance(part, dict) else part:
            yield from subsets(each)


@pytest.fixture(scope="module")
def places() -> list[tuple[str, list[str]]]:
    """Return each place with a gather_subset of it."""
    found = {
        (str(place.relative_to(ROOT)), tuple(subset))
        for place in PLACES
        for subset in subsets(yaml.load(place.read_text(), Loader))
    }
    return [(place, list(subset)) for place, subset in sorted(found)]


@pytest.mark.parametrize("core", CORES)
def test_excludes_the_environment_from_facts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, core: Path, places: list[tuple[str, list[str]]]
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    # One host for each subset, because facts of a host accumulate.
    hosts = {
        f"{place.replace('/', '-')}-{number}": {"wanted": subset, "place": place}
        for number, (place, subset) in enumerate(places)
    }
    local = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": local, "hosts": hosts}}))
    task = {"ansible.builtin.setup": {"gather_subset": "{{ wanted }}"}}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    played = run_playbooks(core / "ansible-playbook", tmp_path / "hosts.yml", [tmp_path / "play.yml"])
    assert played.rc == 0, played.output[-2000:]
    (gathered,) = played.results
    assert len(gathered) == len(places) > 5
    assert [hosts[name]["place"] for name, result in gathered.items() if SECRET in str(result)] == []
