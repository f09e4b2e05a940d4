"""An account at SoftLayer, IBM's classic infrastructure."""

from __future__ import annotations

import configparser
import xmlrpc.client
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.parsers.expat import ExpatError

from ansible.module_utils.softlayer_error import VmError
from ansible.module_utils.softlayer_machine import MASK, Machine
from ansible.module_utils.softlayer_order import Order, Price

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible.module_utils.softlayer_key import PublicKey

try:
    import SoftLayer
except ImportError:
    SoftLayer = None

ORDER_ADVICE = (
    "correct what it names: os_code, datacenter, cpus, memory, disks or san (slcli vs create-options lists them)"
)
# Seconds the API may take for one answer; the library would wait for ever.
PATIENCE = 60
CREDENTIALS = "username and api_key, or SL_USERNAME and SL_API_KEY in the environment, or ~/.softlayer"


class Account:
    """Finds, orders and cancels VMs.

    Every method raises a VmError where the API refuses or cannot be reached.
    """

    def __init__(self, username: str | None, api_key: str | None, endpoint: str | None) -> None:
        """Take credentials, or what the library finds in the environment and in its file.

        Raises:
            VmError: The library or the credentials are missing.
        """
        if SoftLayer is None:
            raise VmError(
                "the controller's Python has no package SoftLayer; run bin/bootstrap, or pip install SoftLayer"
            )
        try:
            self._client = SoftLayer.create_client_from_env(
                username=username, api_key=api_key, endpoint_url=endpoint, timeout=PATIENCE
            )
        except (configparser.Error, ValueError) as error:
            raise VmError(f"the settings in ~/.softlayer cannot be read: {_line(error)}; correct the file") from error
        if self._client.auth is None:
            raise VmError(f"no credentials for SoftLayer; set {CREDENTIALS}")
        self._machines = SoftLayer.VSManager(self._client)
        self._keys = SoftLayer.SshKeyManager(self._client)

    def machine(self, order: Order) -> Machine | None:
        """Find the VM of a name, whosoever it is.

        Raises:
            VmError: There are two.
        """
        with self._asking("list the VMs"):
            guests = self._machines.list_instances(hostname=order.hostname, domain=order.domain, mask=MASK)
        listed = [Machine.of(each) for each in guests]
        found = [each for each in listed if each.fqdn.lower() == order.fqdn.lower() and not each.leaving]
        if len(found) > 1:
            ids = " and ".join(str(each.id) for each in found)
            raise VmError(f"{order.fqdn} is the name of VMs {ids}; rename or cancel all but one in IBM's console")
        return found[0] if found else None

    def machine_of_id(self, machine_id: int) -> Machine:
        with self._asking(f"show VM {machine_id}", "it may have been cancelled: run again to find or order it by name"):
            return Machine.of(self._machines.get_instance(machine_id, mask=MASK))

    def key_id(self, key: PublicKey) -> int | None:
        """Find a key under any label."""
        with self._asking("list the SSH keys"):
            listed = self._keys.list_keys()
        return next((each["id"] for each in listed if each.get("fingerprint") == key.fingerprint), None)

    def add_key(self, key: PublicKey, label: str) -> int:
        with self._asking("take the SSH key", "correct public_key or key_label"):
            return int(self._keys.add_key(key.text, label)["id"])

    def verify(self, order: Order, key_id: int | None) -> Price:
        """Have an order checked, and learn its price; nothing is ordered."""
        with self._asking("sell that", ORDER_ADVICE):
            return Price.of(self._machines.order_guest(order.request(key_id), test=True), hourly=order.hourly)

    def order(self, order: Order, key_id: int) -> tuple[int, Price]:
        """Order a VM; its id, and what it costs."""
        with self._asking("sell that", ORDER_ADVICE, unanswered="run again: what was ordered all the same is found"):
            details = self._machines.order_guest(order.request(key_id))["orderDetails"]
        return int(details["virtualGuests"][0]["id"]), Price.of(details, hourly=order.hourly)

    def tag(self, machine: Machine, tag: str) -> None:
        """Add a tag. The API replaces all that were there, so they go along."""
        with self._asking(f"tag VM {machine.id}", "run again: it is found by its order"):
            self._machines.set_tags(",".join((*machine.tags, tag)), machine.id)

    def cancel(self, machine: Machine) -> None:
        """Delete a VM and its disks, at once."""
        with self._asking(f"cancel VM {machine.id}", "see what is being done with it in IBM's console, and run again"):
            self._machines.cancel_instance(machine.id)

    @contextmanager
    def _asking(
        self,
        wish: str,
        advice: str = "see the user's permissions",
        unanswered: str = "check endpoint, proxy and network",
    ) -> Iterator[None]:
        try:
            yield
        except (SoftLayer.SoftLayerError, xmlrpc.client.Error, ExpatError) as error:
            raise VmError(_told(error, self._client, wish, advice, unanswered)) from error


def _told(error: Exception, client: Any, wish: str, advice: str, unanswered: str) -> str:
    text = _line(getattr(error, "faultString", error))
    code = getattr(error, "faultCode", None)
    if code == 401 or "invalid api token" in text.lower():
        return f"SoftLayer refuses the credentials ({text}); correct {CREDENTIALS}"
    if code == 0 or isinstance(error, (xmlrpc.client.Error, ExpatError)):
        return f"no answer from {client.transport.endpoint_url} ({text}); {unanswered}"
    return f"SoftLayer does not {wish}: {text}; {advice}"


def _line(text: object) -> str:
    # After a double colon the library puts the body of an HTTP error.
    words = str(text).split(" :: ")[0].split()
    return " ".join(words)[:300].rstrip(".")
