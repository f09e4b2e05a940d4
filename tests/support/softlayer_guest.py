"""A VM of the fake account, and what the API shows of it."""

import re
from dataclasses import dataclass
from typing import Any

# In the order in which a VM goes through them.
STEPS = (("ASSIGN_HOST", "Assign Host"), ("CLOUD_CONFIGURE", "Configure Network"), ("SERVICE_SETUP", "Service Setup"))
LEAVING = ("CLOUD_RECLAIM_PREP", "Cloud Reclaim Preparation")


@dataclass
class Guest:
    """A VM.

    Attributes:
        id: Its number.
        container: The order it came from.
        address: Its public address.
        tags: What it is tagged with.
        looks: How many more looks it takes until it is ready; negative never.
    """

    id: int
    container: dict[str, Any]
    address: str
    tags: list[str]
    looks: int = 0
    looked: int = 0
    leaving: int = 0

    @property
    def ordered(self) -> dict[str, Any]:
        return self.container["virtualGuests"][0]

    @property
    def fqdn(self) -> str:
        return f"{self.ordered['hostname']}.{self.ordered['domain']}"

    @property
    def user_data(self) -> list[dict[str, str]]:
        return self.ordered.get("userData", [])

    @property
    def gone(self) -> bool:
        """Whether it is listed no more: some looks after it was cancelled."""
        return self.leaving > 5

    def cancel(self) -> bool:
        assert not self.leaving, "cancelled twice"
        self.leaving = 1
        return True

    def look(self) -> dict[str, Any]:
        """Show it; each look is a step on its way."""
        self.leaving += bool(self.leaving)
        ready = not self.looks
        step = LEAVING if self.leaving else STEPS[min(self.looked, len(STEPS) - 1)]
        self.looked += 1
        self.looks -= self.looks > 0
        shown = {
            "id": self.id,
            "fullyQualifiedDomainName": self.fqdn,
            "hostname": self.ordered["hostname"],
            "domain": self.ordered["domain"],
            "maxCpu": self.ordered["startCpus"],
            "maxMemory": self.ordered["maxMemory"],
            "datacenter": {"id": 1, "name": self.container["location"], "longName": "Somewhere"},
            "status": {"keyName": "ACTIVE", "name": "Active"},
            "tagReferences": [{"id": 1, "tag": {"id": 2, "name": each}} for each in self.tags],
            "userData": self.user_data,
        }
        if ready:
            shown["provisionDate"] = "2025-01-01T00:00:00-06:00"
        if ready or self.looked > 1:
            shown |= {"primaryIpAddress": self.address, "primaryBackendIpAddress": "10.0.0.7"}
        if self.leaving or not ready:
            name, friendly = step
            shown["activeTransaction"] = {"id": 77, "transactionStatus": {"name": name, "friendlyName": friendly}}
        return shown


def project(value: Any, mask: str) -> Any:
    """Show of an object what a mask such as ``mask[id,datacenter[name]]`` asks for; all of it where there is none."""
    if not mask:
        return value
    tokens = re.findall(r"\w+|[\[\],.]", mask.removeprefix("mask"))
    return _cut(value, _tree(tokens))


def _tree(tokens: list[str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    assert tokens.pop(0) == "["
    while (token := tokens.pop(0)) != "]":
        if token != ",":
            tree[token] = _tree(tokens) if tokens[0] == "[" else {}
    return tree


def _cut(value: Any, tree: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_cut(each, tree) for each in value]
    if not tree or not isinstance(value, dict):
        return value
    return {name: _cut(value[name], below) for name, below in tree.items() if name in value}
