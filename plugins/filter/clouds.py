"""Derive from the inventory what the hosts of the group cloud know of each other.

The filters read variables of the inventory, not facts: so a run for some hosts changes nothing for the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PORT = 8883
"""Default of `cloud_broker_port`."""

Hosts = Sequence[Mapping[str, Any]]


def cloud_addresses(hosts: Hosts) -> list[str]:
    """Return the name or address at which edges and other hosts reach each host.

    Args:
        hosts: Variables of each host, in the order of the group.
    """
    return [
        host.get("cloud_broker_public_address") or host.get("ansible_host") or host["inventory_hostname"]
        for host in hosts
    ]


def cloud_brokers(hosts: Hosts) -> list[str]:
    """Return HOST:PORT of the broker of each host."""
    ports = [host.get("cloud_broker_port", PORT) for host in hosts]
    return [f"{address}:{port}" for address, port in zip(cloud_addresses(hosts), ports, strict=True)]


def cloud_subscribers(hosts: Hosts) -> list[str]:
    """Return the names of the subscribers of all hosts; by default each has one, named after its place."""
    return [
        name
        for place, host in enumerate(hosts, start=1)
        for name in host.get("subscriber_names") or [f"subscriber-{place}"]
    ]


class FilterModule:
    """Contains the filters of this file."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {
            "cloud_addresses": cloud_addresses,
            "cloud_brokers": cloud_brokers,
            "cloud_subscribers": cloud_subscribers,
        }
