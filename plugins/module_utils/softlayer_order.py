"""What is ordered at SoftLayer, and what it costs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ansible.module_utils.softlayer_error import VmError

LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


@dataclass(frozen=True)
class Order:
    """A VM as it is wanted.

    Attributes:
        hostname: First part of its name.
        domain: The rest of its name.
        cpus: How many.
        memory: In MiB.
        datacenter: Short name, such as ``wdc04``.
        san: Whether its disks are on the network, or local.
        os_code: The system's reference code, such as ``UBUNTU_24_64``.
        disks: In GB; the first holds the system.
        hourly: Whether it is billed by the hour, or by the month.
        tag: What tells it from other people's VMs.
    """

    hostname: str
    domain: str
    cpus: int
    memory: int
    datacenter: str
    san: bool
    os_code: str
    disks: tuple[int, ...]
    hourly: bool
    tag: str

    def __post_init__(self) -> None:
        """Raise a VmError where a name cannot be one: the API takes ``*`` and ``,`` for orders of its own."""
        for setting, pattern in (("hostname", LABEL), ("domain", rf"{LABEL}(\.{LABEL})+"), ("tag", r"[\w:.-]+")):
            value = getattr(self, setting)
            if not re.fullmatch(pattern, value, re.ASCII):
                raise VmError(f"{setting} is {value!r}; it must match {pattern}")

    @property
    def fqdn(self) -> str:
        return f"{self.hostname}.{self.domain}"

    def request(self, key_id: int | None) -> dict[str, Any]:
        """Say it in the words of the library's ``VSManager.order_guest``."""
        return {
            "hostname": self.hostname,
            "domain": self.domain,
            "cpus": self.cpus,
            "memory": self.memory,
            "datacenter": self.datacenter,
            "local_disk": not self.san,
            "os_code": self.os_code,
            "disks": list(self.disks),
            "hourly": self.hourly,
            "ssh_keys": [key_id] if key_id else [],
            # Tags come after the order; this comes with it, so that a run that breaks off in between owns its VM.
            "userdata": self.tag,
        }


@dataclass(frozen=True)
class Price:
    """What an order costs, without taxes.

    Attributes:
        total: For one period.
        period: ``hour`` or ``month``.
        currency: Such as ``USD``.
        items: Its parts, each with what it costs.
    """

    total: Decimal
    period: str
    currency: str
    items: tuple[tuple[str, Decimal], ...]

    @classmethod
    def of(cls, receipt: dict[str, Any], *, hourly: bool) -> Price:
        """Add up a receipt, or what is shown before an order."""
        fee = "hourlyRecurringFee" if hourly else "recurringFee"
        items = tuple((each["item"]["description"], Decimal(str(each.get(fee, 0)))) for each in receipt["prices"])
        currency = receipt.get("currencyShortName") or "USD"
        total = sum((each for _, each in items), Decimal(0))
        return cls(total, "hour" if hourly else "month", currency, items)

    def told(self) -> dict[str, Any]:
        return {
            "total": f"{self.total:f}",
            "period": self.period,
            "currency": self.currency,
            "items": [{"description": text, "fee": f"{fee:f}"} for text, fee in self.items],
        }
