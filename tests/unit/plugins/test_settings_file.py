"""The settings files of the programs: valid TOML for every value, and the same bytes for the same settings."""

from datetime import date

import pytest
import tomllib
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from support.plugin import load_plugin

FILTERS = load_plugin("filter/settings_file.py").FilterModule().filters()
to_toml, broker_sections = FILTERS["to_toml"], FILTERS["broker_sections"]

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = texts | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
values = (
    scalars
    | st.lists(scalars, max_size=3)
    | st.dictionaries(texts, scalars | st.lists(scalars, max_size=2), max_size=3)
)


@given(st.dictionaries(texts, values | st.lists(st.dictionaries(texts, values, max_size=3), max_size=2), max_size=4))
def test_a_parser_reads_what_was_written(document):
    assert tomllib.loads(to_toml(document)) == document


def test_the_same_settings_have_the_same_text():
    """Another text, as of another version of the library, would replace every container at the next deployment."""
    document = {
        "metrics": {"port": 9464, "clients": ["prometheus", "other"]},
        "brokers": [{"host": "a"}, {"host": "b"}],
        "edge": "Zürich\U0001f600",
        "empty": {},
        "limits": {"a.b": {"low": 0.5, "high": 1e-07}},
    }
    assert to_toml(document) == (
        'brokers = [\n    { host = "a" },\n    { host = "b" },\n]\nedge = "Zürich\U0001f600"\n\n'
        '[metrics]\nport = 9464\nclients = [\n    "prometheus",\n    "other",\n]\n\n[empty]\n\n'
        '[limits."a.b"]\nlow = 0.5\nhigh = 1e-07'
    )


def test_writes_a_date_as_text():
    assert to_toml({"since": date(2026, 11, 22)}) == 'since = "2026-11-22"'


@pytest.mark.parametrize("document", [{"camera": {"name": None}}, {"camera": {"name": [None]}}])
def test_names_a_null(document):
    with pytest.raises(AnsibleFilterError, match=r"the setting camera[.]name is null"):
        to_toml(document)


def test_one_broker_is_a_section_and_several_are_an_array():
    common = {"ca_file": "ca.crt"}
    first, second = ({"host": "[::1]", "port": 8883, **common}, {"host": "b.example.org", "port": 1, **common})
    assert broker_sections(["[::1]:8883"], common) == {"broker": first}
    assert broker_sections(["[::1]:8883", "b.example.org:1"], common) == {"brokers": [first, second]}


@pytest.mark.parametrize("address", ["b.example.org", "b.example.org:", ":8883", "b:x"])
def test_names_an_address_without_a_port(address):
    with pytest.raises(AnsibleFilterError, match=address):
        broker_sections([address], {})
