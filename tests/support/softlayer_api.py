"""A fake SoftLayer API on the loopback: an account with VMs that become ready step by step, SSH keys and a price list.

It speaks XML-RPC to the real library, returns only the fields that a mask names, and supports the calls of an order.
IBM's behaviour was read from the library, version 6.2, and from its fixtures. It needs no package: a bare host runs it.
"""

import base64
import hashlib
import json
import re
import sys
import threading
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from socketserver import ThreadingMixIn
from typing import Any
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

USER = "tester"
API_KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
STEPS = (("ASSIGN_HOST", "Assign Host"), ("CLOUD_CONFIGURE", "Configure Network"), ("SERVICE_SETUP", "Service Setup"))
"""Name and friendly name of each provisioning step, in order."""
RECLAIM = ("CLOUD_RECLAIM_PREP", "Cloud Reclaim Preparation")
CATALOGUE = {
    ("cpu", 2): (12, "2 x 2.0 GHz or higher Cores", ".056", "40"),
    ("memory", 4096): (22, "4 GB", ".04", "29"),
    ("os", "UBUNTU_24_64"): (32, "Ubuntu Linux 24.04 LTS Noble Numbat Minimal Install (64 bit)", "0", "0"),
    ("disk", 100): (42, "100 GB (SAN)", ".006", "4"),
}
"""Id, description, hourly and monthly fee of each item on sale."""
DEFAULT_ORDER = {
    "virtualGuests": [{"hostname": "face-server", "domain": "server.cloud", "startCpus": 2, "maxMemory": 4096}],
    "location": "wdc04",
}


@dataclass
class Guest:
    """A VM.

    Attributes:
        polls_left: Polls until it is ready; negative: never.
        leaving: Polls since it was cancelled; 0: it was not.
    """

    id: int
    container: dict[str, Any]
    address: str
    tags: list[str]
    polls_left: int = 0
    polls: int = 0
    leaving: int = 0

    @property
    def ordered(self) -> dict[str, Any]:
        ordered: dict[str, Any] = self.container["virtualGuests"][0]
        return ordered

    @property
    def fqdn(self) -> str:
        return f"{self.ordered['hostname']}.{self.ordered['domain']}"

    @property
    def gone(self) -> bool:
        """A cancelled VM is listed for some polls more."""
        return self.leaving > 5

    def cancel(self) -> bool:
        assert not self.leaving, "cancelled twice"
        self.leaving = 1
        return True

    def poll(self) -> dict[str, Any]:
        """Return its fields; each poll is one provisioning step."""
        self.leaving += bool(self.leaving)
        ready, step = not self.polls_left, STEPS[min(self.polls, len(STEPS) - 1)]
        self.polls += 1
        self.polls_left -= self.polls_left > 0
        fields = {
            "id": self.id,
            "fullyQualifiedDomainName": self.fqdn,
            "hostname": self.ordered["hostname"],
            "domain": self.ordered["domain"],
            "maxCpu": self.ordered["startCpus"],
            "maxMemory": self.ordered["maxMemory"],
            "datacenter": {"id": 1, "name": self.container["location"], "longName": "Somewhere"},
            "status": {"keyName": "ACTIVE", "name": "Active"},
            "tagReferences": [{"id": 1, "tag": {"id": 2, "name": each}} for each in self.tags],
            "userData": self.ordered.get("userData", []),
        }
        if ready:
            fields["provisionDate"] = "2025-01-01T00:00:00-06:00"
        if ready or self.polls > 1:
            fields |= {"primaryIpAddress": self.address, "primaryBackendIpAddress": "10.0.0.7"}
        if self.leaving or not ready:
            name, friendly = RECLAIM if self.leaving else step
            fields["activeTransaction"] = {"id": 77, "transactionStatus": {"name": name, "friendlyName": friendly}}
        return fields


@dataclass
class SoftLayerApi:
    """An account behind a running API.

    Attributes:
        address: Public address of each new VM.
        polls: Polls until a new VM is ready; negative: never.
        cancels_tagged: A VM is cancelled in IBM's console as soon as it is tagged.
        calls: Each call as ``Service.method``.
        faults: Answers in place of the real ones, by ``Service.method``.
    """

    endpoint: str = ""
    address: str = "127.0.0.1"
    polls: int = 3
    cancels_tagged: bool = False
    guests: list[Guest] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    faults: dict[str, xmlrpc.client.Fault] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add_guest(self, *tags: str, container: dict[str, Any] = DEFAULT_ORDER) -> Guest:
        """Add a VM that is ready."""
        self.guests.append(Guest(1000 + len(self.guests), container, self.address, list(tags)))
        return self.guests[-1]

    def add_key(self, text: str, label: str) -> dict[str, Any]:
        digest = hashlib.md5(base64.b64decode(text.split()[1])).hexdigest()
        fingerprint = ":".join(re.findall("..", digest))
        if any(each["fingerprint"] == fingerprint for each in self.keys):
            raise fault("SSH key already exists.")
        self.keys.append({"id": 500 + len(self.keys), "fingerprint": fingerprint, "label": label, "key": text})
        return self.keys[-1]

    def answer(self, call: str, headers: dict[str, Any], arguments: list[Any]) -> Any:
        calls: dict[str, Callable[..., Any]] = {
            "Account.getVirtualGuests": self._list_guests,
            "Account.getSshKeys": lambda _: self.keys,
            "Security_Ssh_Key.createObject": lambda _, key: self.add_key(key["key"], key["label"]),
            "Virtual_Guest.generateOrderTemplate": lambda _, request: _order(request),
            "Virtual_Guest.getObject": lambda headers: self._guest(headers).poll(),
            "Virtual_Guest.setTags": self._set_tags,
            "Virtual_Guest.deleteObject": lambda headers: self._guest(headers).cancel(),
            "Product_Order.verifyOrder": lambda _, container: _priced(container),
            "Product_Order.placeOrder": self._place_order,
        }
        with self._lock:
            self.calls.append(call)
            # The log of a bare host.
            sys.stdout.write(f"{call}\n")
            sys.stdout.flush()
            if call in self.faults:
                raise self.faults[call]
            if call not in calls:
                raise fault(f"Function ({call}) is not a valid method for this service.")
            return _masked(calls[call](headers, *arguments), headers.get("SoftLayer_ObjectMask", {}).get("mask"))

    def _guest(self, headers: dict[str, Any]) -> Guest:
        wanted = headers["SoftLayer_Virtual_GuestInitParameters"]["id"]
        for guest in self.guests:
            if guest.id == wanted and not guest.gone:
                return guest
        raise fault(f"Unable to find object with id of '{wanted}'.", "SoftLayer_Exception_ObjectNotFound")

    def _list_guests(self, headers: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = headers["SoftLayer_AccountObjectFilter"]["virtualGuests"]
        name = {part: wanted[part]["operation"].removeprefix("_= ") for part in ("hostname", "domain")}
        return [each.poll() for each in self.guests if not each.gone and name.items() <= each.ordered.items()]

    def _set_tags(self, headers: dict[str, Any], tags: str) -> bool:
        guest = self._guest(headers)
        guest.tags[:] = [each.strip() for each in tags.split(",")]
        guest.leaving = 10 if self.cancels_tagged else guest.leaving
        return True

    def _place_order(self, _: dict[str, Any], container: dict[str, Any]) -> dict[str, Any]:
        details, known = _priced(container), {each["id"] for each in self.keys}
        if not {each for group in container["sshKeys"] for each in group["sshKeyIds"]} <= known:
            raise fault("Invalid SSH key ID.")
        guest = self.add_guest(container=container)
        guest.polls_left = self.polls
        named = {"id": guest.id, "fullyQualifiedDomainName": guest.fqdn}
        return {"orderId": 9000 + guest.id, "orderDetails": details | {"virtualGuests": [named]}}


def fault(reason: str, code: str = "SoftLayer_Exception_Public") -> xmlrpc.client.Fault:
    return xmlrpc.client.Fault(code, reason)  # type: ignore[arg-type]


def _order(request: dict[str, Any]) -> dict[str, Any]:
    """Build an order of a request, as Virtual_Guest::generateOrderTemplate does."""
    if request["datacenter"]["name"] != "wdc04":
        raise fault(f"Invalid datacenter {request['datacenter']['name']}.")
    parts = [("cpu", request["startCpus"]), ("memory", request["maxMemory"])]
    parts += [("os", request["operatingSystemReferenceCode"])]
    parts += [("disk", each["diskImage"]["capacity"]) for each in request["blockDevices"]]
    for kind, size in parts:
        if (kind, size) not in CATALOGUE:
            raise fault(f"Invalid value provided for {kind}: {size}.")
    return {
        "virtualGuests": [{name: request[name] for name in ("hostname", "domain", "startCpus", "maxMemory")}],
        "location": request["datacenter"]["name"],
        "prices": [{"id": CATALOGUE[part][0]} for part in parts],
        "useHourlyPricing": request["hourlyBillingFlag"],
        "sshKeys": [{"sshKeyIds": [each["id"] for each in request.get("sshKeys", [])]}],
        "quantity": 1,
    }


def _priced(container: dict[str, Any]) -> dict[str, Any]:
    items = {number: item for number, *item in CATALOGUE.values()}
    priced = []
    for each in container["prices"]:
        description, hourly, monthly = items[each["id"]]
        fees = {"hourlyRecurringFee": hourly, "recurringFee": monthly}
        priced.append(each | fees | {"item": {"description": description}})
    return container | {"prices": priced}


def _masked(value: Any, mask: str | None) -> Any:
    """Reduce an object to the fields of a mask such as ``mask[id,datacenter[name]]``."""
    if not mask:
        return value
    as_json = re.sub(r"(\w+)(\[?)", lambda found: f'"{found[1]}":' + ("{" if found[2] else "null"), mask)
    return _reduced(value, json.loads("{" + as_json.replace("]", "}") + "}")["mask"])


def _reduced(value: Any, fields: dict[str, Any] | None) -> Any:
    if isinstance(value, list):
        return [_reduced(each, fields) for each in value]
    if not fields or not isinstance(value, dict):
        return value
    return {name: _reduced(value[name], below) for name, below in fields.items() if name in value}


class _Server(ThreadingMixIn, SimpleXMLRPCServer):
    daemon_threads = True
    api: SoftLayerApi


class _Handler(SimpleXMLRPCRequestHandler):
    rpc_paths = ()  # each service has a path of its own

    def _dispatch(self, method: str, params: tuple[Any, ...]) -> Any:
        assert isinstance(self.server, _Server)
        headers = params[0].get("headers", {})
        cloud_key = base64.b64encode(f"apikey:{API_KEY}".encode()).decode()
        login = headers.get("authenticate", {})
        by_user = (login.get("username"), login.get("apiKey")) == (USER, API_KEY)
        if not by_user and self.headers.get("Authorization") != f"Basic {cloud_key}":
            raise fault("Invalid API token.", "SoftLayer_Exception")
        service = self.path.strip("/").removeprefix("SoftLayer_")
        return self.server.api.answer(f"{service}.{method}", headers, list(params[1:]))


@contextmanager
def softlayer_api(host: str = "127.0.0.1", port: int = 0) -> Iterator[SoftLayerApi]:
    """Serve an empty account; its VMs get the address of the API itself."""
    with _Server((host, port), _Handler, logRequests=False, allow_none=True) as server:
        server.api = SoftLayerApi(f"http://{host}:{server.server_address[1]}", host)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.api
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    with softlayer_api(sys.argv[1], int(sys.argv[2])):
        threading.Event().wait()
