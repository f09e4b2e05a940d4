"""Write the settings of the programs as TOML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tomli_w
from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: to_toml
short_description: Write a mapping as TOML
description:
  - Each mapping in it becomes a table, each list of mappings an array of tables.
options:
  _input:
    description: The mapping. It may not contain null, which TOML lacks.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: A settings file
  ansible.builtin.debug:
    msg: "{{ {'edge': 'jetson', 'camera': {'source': '/dev/video0'}} | to_toml }}"
"""

RETURN = r"""
_value:
  description: The TOML document, without a line break at its end.
  type: str
"""


def to_toml(document: Mapping[str, Any]) -> str:
    """Write a mapping as TOML.

    Raises:
        AnsibleFilterError: A value is null.
    """
    return tomli_w.dumps({str(name): _plain(value, str(name)) for name, value in document.items()}).rstrip("\n")


def _plain(value: object, path: str) -> object:
    """Return a value of the types that TOML has: a text from the vault is no str until it is used."""
    if value is None:
        raise AnsibleFilterError(f"the setting {path} is null; set a value, or remove it")
    if isinstance(value, Mapping):
        return {str(name): _plain(each, f"{path}.{name}") for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each, path) for each in value]
    return value if isinstance(value, (bool, int, float)) else str(value)


def broker_sections(addresses: Sequence[str], common: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of brokers: the section `broker`, or `brokers` if there are several.

    Args:
        addresses: HOST:PORT of each.
        common: Further settings that each gets.

    Raises:
        AnsibleFilterError: An address has no port.
    """
    brokers = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not (host and port.isdecimal()):
            raise AnsibleFilterError(f"the address of the broker {address!r} has no port; write it as HOST:PORT")
        brokers.append({"host": host, "port": int(port), **common})
    return {"broker": brokers[0]} if len(brokers) == 1 else {"brokers": brokers}


class FilterModule:
    """Contains the filters of this file."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"to_toml": to_toml, "broker_sections": broker_sections}
