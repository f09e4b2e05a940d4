"""A VM that is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ansible.module_utils.softlayer_order import Order

# What the API is asked for; it leaves out everything else.
MASK = (
    "mask[id,fullyQualifiedDomainName,primaryIpAddress,primaryBackendIpAddress,provisionDate,maxCpu,maxMemory,"
    "datacenter[name],status[keyName],activeTransaction[id,transactionStatus[name,friendlyName]],"
    "lastOperatingSystemReload[id],tagReferences[tag[name]],userData[value]]"
)


@dataclass(frozen=True)
class Machine:
    """A VM as the API shows it.

    Attributes:
        id: Its number.
        fqdn: Its full name.
        public_address: Empty until it has one.
        private_address: Empty until it has one.
        step: What is being done with it, in the API's words.
        ready: Whether it can be used.
        leaving: Whether it was cancelled; such a VM is still listed for some minutes.
        tags: What it is tagged with.
        ordered_with: The user data of its order.
        size: Its cpus, memory (MiB) and datacenter.
    """

    id: int
    fqdn: str
    public_address: str
    private_address: str
    step: str
    ready: bool
    leaving: bool
    tags: tuple[str, ...]
    ordered_with: tuple[str, ...]
    size: tuple[int, int, str]

    @classmethod
    def of(cls, guest: dict[str, Any]) -> Machine:
        transaction = guest.get("activeTransaction") or {}
        status = transaction.get("transactionStatus") or {}
        reload = guest.get("lastOperatingSystemReload") or {}
        reloading = bool(transaction.get("id")) and transaction.get("id") == reload.get("id")
        public, private = guest.get("primaryIpAddress") or "", guest.get("primaryBackendIpAddress") or ""
        return cls(
            id=guest["id"],
            fqdn=guest["fullyQualifiedDomainName"],
            public_address=public,
            private_address=private,
            step=status.get("friendlyName") or "",
            ready=bool(guest.get("provisionDate") and public and private) and not reloading,
            leaving="RECLAIM" in (status.get("name") or "")
            or (guest.get("status") or {}).get("keyName") == "DISCONNECTED",
            tags=tuple(each["tag"]["name"] for each in guest.get("tagReferences") or ()),
            ordered_with=tuple(each.get("value") or "" for each in guest.get("userData") or ()),
            size=(guest.get("maxCpu", 0), guest.get("maxMemory", 0), (guest.get("datacenter") or {}).get("name", "")),
        )

    def belongs_to(self, tag: str) -> bool:
        return tag in self.tags or tag in self.ordered_with

    def differences(self, order: Order) -> list[str]:
        """Say what is not as it is wanted."""
        pairs = zip(self.size, (order.cpus, order.memory, order.datacenter), strict=True)
        named = zip(("cpus", "memory", "datacenter"), pairs, strict=True)
        return [f"{name} {is_now}, not {wanted}" for name, (is_now, wanted) in named if is_now != wanted]

    def told(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "fqdn": self.fqdn,
            "public_address": self.public_address,
            "private_address": self.private_address,
            "ready": self.ready,
            "step": self.step,
        }
