"""Order hosts differently for each client, so that several clients share them evenly."""

from __future__ import annotations

import hashlib

DOCUMENTATION = r"""
name: spread
short_description: Order addresses for one client, so that all clients share them evenly
description:
  - Each client gets an order of its own, the same in every run. Clients whose first address fails share the others
    evenly too. A further address becomes the first of its share of the clients, and changes no other order.
options:
  _input:
    description: The addresses.
    type: list
    elements: str
    required: true
  name:
    description: Name of the client.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: The brokers of an edge, the preferred one first
  ansible.builtin.debug:
    msg: "{{ ['a.example.org:8883', 'b.example.org:8883'] | spread('jetson') }}"
"""

RETURN = r"""
_value:
  description: The addresses in the order of this client.
  type: list
  elements: str
"""


def spread(addresses: list[str], name: str) -> list[str]:
    """Order addresses by a digest of client and address (rendezvous hashing)."""
    return sorted(addresses, key=lambda address: hashlib.sha256(f"{name} {address}".encode()).digest())


class FilterModule:
    """Contains the filters of this file."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"spread": spread}
