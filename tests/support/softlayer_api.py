"""SoftLayer's API on the loopback: an account with VMs that get ready step by step, SSH keys and a price list.

It speaks the API's XML-RPC to the library as it is, shows of an object only what the mask asks for, and knows the calls
that ordering a VM takes. What IBM's own API does was read from the library, version 6.2, and from its fixtures.
"""

import base64
import sys
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support import softlayer_catalogue as catalogue
from support.softlayer_guest import Guest, project

USER = "tester"
API_KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"


@dataclass
class SoftLayerApi:
    """A running API.

    Attributes:
        endpoint: Its address.
        address: What a new VM gets for its public address.
        looks: How often a new VM is looked at until it is ready; negative for ever.
        guests: The account's VMs.
        keys: The account's SSH keys.
        calls: What was asked for, as ``Service.method``.
        faults: What to answer instead, by ``Service.method``.
    """

    endpoint: str = ""
    address: str = "127.0.0.1"
    looks: int = 3
    guests: list[Guest] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    faults: dict[str, xmlrpc.client.Fault] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add_guest(self, container: dict[str, Any] | None = None, *tags: str) -> Guest:
        """Put a VM there that is ready; without an order, the one of the write-up."""
        container = container or catalogue.template(catalogue.WRITE_UP)
        guest = Guest(1000 + len(self.guests), container, self.address, list(tags))
        self.guests.append(guest)
        return guest

    def add_key(self, text: str, label: str) -> dict[str, Any]:
        fingerprint = catalogue.fingerprint(text)
        if any(each["fingerprint"] == fingerprint for each in self.keys):
            raise fault("SSH key already exists.")
        self.keys.append({"id": 500 + len(self.keys), "fingerprint": fingerprint, "label": label, "key": text})
        return self.keys[-1]

    def answer(self, service: str, method: str, headers: dict[str, Any], arguments: list[Any]) -> Any:
        """Answer one call.

        Raises:
            xmlrpc.client.Fault: It is refused.
        """
        service = service.removeprefix("SoftLayer_")
        call = f"{service}.{method}"
        with self._lock:
            self.calls.append(call)
            if call in self.faults:
                raise self.faults[call]
            known: dict[str, Callable[..., Any]] = {
                "Account.getVirtualGuests": self._list_guests,
                "Account.getSshKeys": lambda _: self.keys,
                "Security_Ssh_Key.createObject": lambda _, key: self.add_key(key["key"], key["label"]),
                "Virtual_Guest.generateOrderTemplate": lambda _, wish: catalogue.template(wish),
                "Virtual_Guest.getObject": lambda headers: self._guest(headers).look(),
                "Virtual_Guest.setTags": self._set_tags,
                "Virtual_Guest.deleteObject": lambda headers: self._guest(headers).cancel(),
                "Product_Order.verifyOrder": lambda _, container: catalogue.priced(container),
                "Product_Order.placeOrder": self._place_order,
            }
            if call not in known:
                raise fault(f"Function ({method}) is not a valid method for this service.")
            return project(known[call](headers, *arguments), headers.get("SoftLayer_ObjectMask", {}).get("mask", ""))

    def _guest(self, headers: dict[str, Any]) -> Guest:
        wanted = headers["SoftLayer_Virtual_GuestInitParameters"]["id"]
        for guest in self.guests:
            if guest.id == wanted and not guest.gone:
                return guest
        raise fault(f"Unable to find object with id of '{wanted}'.", "SoftLayer_Exception_ObjectNotFound")

    def _list_guests(self, headers: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = headers["SoftLayer_AccountObjectFilter"]["virtualGuests"]
        names = {part: wanted[part]["operation"].removeprefix("_= ") for part in ("hostname", "domain")}
        return [each.look() for each in self.guests if not each.gone and names.items() <= each.ordered.items()]

    def _set_tags(self, headers: dict[str, Any], tags: str) -> bool:
        self._guest(headers).tags[:] = [each.strip() for each in tags.split(",")]
        return True

    def _place_order(self, _: dict[str, Any], container: dict[str, Any]) -> dict[str, Any]:
        details = catalogue.priced(container)
        known = {each["id"] for each in self.keys}
        if not {each for group in container["sshKeys"] for each in group["sshKeyIds"]} <= known:
            raise fault("Invalid SSH key ID.")
        guest = self.add_guest(container)
        guest.looks = self.looks
        named = {"id": guest.id, "fullyQualifiedDomainName": guest.fqdn}
        return {"orderId": 9000 + guest.id, "orderDetails": details | {"virtualGuests": [named]}}


def fault(reason: str, code: str = "SoftLayer_Exception_Public") -> xmlrpc.client.Fault:
    return xmlrpc.client.Fault(code, reason)  # type: ignore[arg-type]


def _authorised(headers: dict[str, Any], basic: str) -> bool:
    own = headers.get("authenticate", {})
    with_cloud_key = base64.b64encode(f"apikey:{API_KEY}".encode()).decode()
    return (own.get("username"), own.get("apiKey")) == (USER, API_KEY) or basic == f"Basic {with_cloud_key}"


@contextmanager
def softlayer_api(host: str = "127.0.0.1", port: int = 0) -> Iterator[SoftLayerApi]:
    """Run an API with an empty account; its VMs get the address it listens on.

    Args:
        host: Where it listens.
        port: There; 0 for any that is free.
    """
    api = SoftLayerApi(address=host)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arguments, method = xmlrpc.client.loads(self.rfile.read(int(self.headers["Content-Length"])))
            headers = arguments[0].get("headers", {})
            total = 0
            try:
                if not _authorised(headers, self.headers.get("Authorization", "")):
                    raise fault("Invalid API token.", "SoftLayer_Exception")
                answer = api.answer(self.path.strip("/"), str(method), headers, list(arguments[1:]))
                total = len(answer) if isinstance(answer, list) else 0
                body = xmlrpc.client.dumps((answer,), methodresponse=True, allow_none=True)
            except xmlrpc.client.Fault as refusal:
                body = xmlrpc.client.dumps(refusal, methodresponse=True)
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body.encode())))
            self.send_header("softlayer-total-items", str(total))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    api.endpoint = f"http://{host}:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()


def _serve(host: str, port: str) -> None:
    """Run until it is killed; each call is a line."""
    with softlayer_api(host, int(port)) as api:
        told = 0
        while True:
            time.sleep(0.2)
            sys.stdout.writelines(f"{call}\n" for call in api.calls[told:])
            sys.stdout.flush()
            told = len(api.calls)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
