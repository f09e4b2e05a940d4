"""Write the settings of the programs as TOML."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: to_toml
short_description: Write a mapping as TOML
description:
  - Each mapping in it becomes a table, each list of mappings an array of tables; deeper mappings become inline tables.
  - Texts are written as JSON writes them, so they are ASCII.
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

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")


def to_toml(document: Mapping[str, Any]) -> str:
    """Write a mapping as TOML.

    Args:
        document: Names and values; a table has no further tables, but inline ones.

    Raises:
        AnsibleFilterError: A value is null.
    """
    tables = {name: value for name, value in document.items() if isinstance(value, Mapping)}
    arrays = {name: value for name, value in document.items() if _is_array_of_tables(value)}
    values = {name: value for name, value in document.items() if name not in tables and name not in arrays}
    parts = [_lines(values, "")] if values else []
    parts += [f"[{_key(name)}]\n{_lines(table, f'{name}.')}" for name, table in tables.items()]
    parts += [f"[[{_key(name)}]]\n{_lines(table, f'{name}.')}" for name, array in arrays.items() for table in array]
    return "\n\n".join(part.rstrip("\n") for part in parts)


def _is_array_of_tables(value: object) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(each, Mapping) for each in value)


def _lines(table: Mapping[str, Any], path: str) -> str:
    return "\n".join(f"{_key(name)} = {_value(value, f'{path}{name}')}" for name, value in table.items())


def _key(name: object) -> str:
    return str(name) if BARE_KEY.match(str(name)) else _text(str(name))


def _value(value: object, path: str) -> str:
    if value is None:
        raise AnsibleFilterError(f"the setting {path} is null; set a value, or remove it")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(name)} = {_value(each, f'{path}.{name}')}" for name, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(each, path) for each in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return json.dumps(value) if math.isfinite(value) else str(value)
    # A text from the vault is no str until it is used.
    return _text(str(value))


def _text(text: str) -> str:
    """Write a text as JSON does, except for what TOML forbids: pairs of surrogates, and DEL."""
    return '"' + "".join(f"\\U{ord(each):08x}" if _is_long(each) else json.dumps(each)[1:-1] for each in text) + '"'


def _is_long(character: str) -> bool:
    return character > "\uffff" or character == "\x7f"


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
