"""What the fake SoftLayer sells, and for how much."""

import base64
import hashlib
import xmlrpc.client
from typing import Any

WRITE_UP = {
    "hostname": "face-server",
    "domain": "server.cloud",
    "startCpus": 2,
    "maxMemory": 4096,
    "datacenter": {"name": "wdc04"},
    "localDiskFlag": False,
    "hourlyBillingFlag": True,
    "operatingSystemReferenceCode": "UBUNTU_24_64",
    "blockDevices": [{"device": "0", "diskImage": {"capacity": 100}}],
}
DATACENTERS = {"wdc04", "wdc07", "dal13"}
# What it is, and how much of it: id, description, fees by hour and by month.
ITEMS = {
    ("cpu", 1): (11, "1 x 2.0 GHz or higher Core", ".028", "20"),
    ("cpu", 2): (12, "2 x 2.0 GHz or higher Cores", ".056", "40"),
    ("memory", 2048): (21, "2 GB", ".02", "15"),
    ("memory", 4096): (22, "4 GB", ".04", "29"),
    ("os", "UBUNTU_22_64"): (31, "Ubuntu Linux 22.04 LTS Jammy Jellyfish Minimal Install (64 bit)", "0", "0"),
    ("os", "UBUNTU_24_64"): (32, "Ubuntu Linux 24.04 LTS Noble Numbat Minimal Install (64 bit)", "0", "0"),
    ("san", 25): (41, "25 GB (SAN)", "0", "0"),
    ("san", 100): (42, "100 GB (SAN)", ".006", "4"),
    ("local", 100): (43, "100 GB (LOCAL)", ".003", "2"),
}


def template(wish: dict[str, Any]) -> dict[str, Any]:
    """Make an order of a wish, as Virtual_Guest::generateOrderTemplate does.

    Raises:
        xmlrpc.client.Fault: Something is not sold.
    """
    if wish["datacenter"]["name"] not in DATACENTERS:
        raise _refusal(f"Invalid datacenter {wish['datacenter']['name']}.")
    parts = [("cpu", wish["startCpus"]), ("memory", wish["maxMemory"]), ("os", wish["operatingSystemReferenceCode"])]
    kind_of_disk = "local" if wish["localDiskFlag"] else "san"
    parts += [(kind_of_disk, each["diskImage"]["capacity"]) for each in wish["blockDevices"]]
    for kind, size in parts:
        if (kind, size) not in ITEMS:
            raise _refusal(f"Invalid value provided for {kind}: {size}.")
    guest = {name: wish[name] for name in ("hostname", "domain", "startCpus", "maxMemory")}
    return {
        "virtualGuests": [guest],
        "location": wish["datacenter"]["name"],
        "prices": [{"id": ITEMS[part][0]} for part in parts],
        "useHourlyPricing": wish["hourlyBillingFlag"],
        "sshKeys": [{"sshKeyIds": [each["id"] for each in wish.get("sshKeys", [])]}],
        "quantity": 1,
    }


def priced(container: dict[str, Any]) -> dict[str, Any]:
    """Check an order, and write its prices in."""
    by_id = {each[0]: each for each in ITEMS.values()}
    prices = []
    for each in container["prices"]:
        _, description, hourly, monthly = by_id[each["id"]]
        fees = {"hourlyRecurringFee": hourly, "recurringFee": monthly}
        prices.append(each | fees | {"item": {"description": description}})
    return container | {"prices": prices}


def fingerprint(text: str) -> str:
    digest = hashlib.md5(base64.b64decode(text.split()[1])).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, 32, 2))


def _refusal(reason: str) -> xmlrpc.client.Fault:
    return xmlrpc.client.Fault("SoftLayer_Exception_Public", reason)  # type: ignore[arg-type]
