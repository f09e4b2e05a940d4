#!/usr/bin/python
"""Order a VM at SoftLayer once, find it again, cancel it by its name."""

from __future__ import annotations

import base64
import configparser
import hashlib
import re
import xmlrpc.client
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers.expat import ExpatError

from ansible.module_utils.basic import AnsibleModule, env_fallback

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import SoftLayer
except ImportError:
    SoftLayer = None

DOCUMENTATION = r"""
module: softlayer_vm
short_description: Order a VM at SoftLayer (IBM's classic infrastructure)
description:
  - Finds the VM by its full name and its tag, and orders it if it is missing.
  - Runs on the controller for the role softlayer_vm, which documents the options under the same names.
  - Returns C(id), C(fqdn), C(public_address), C(private_address), C(ready), C(step) and, for an order, C(price).
"""

ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "hostname": {"type": "str", "required": True},
    "domain": {"type": "str", "required": True},
    "tag": {"type": "str", "required": True},
    "cpus": {"type": "int"},
    "memory": {"type": "int"},
    "datacenter": {"type": "str"},
    "san": {"type": "bool", "default": True},
    "os_code": {"type": "str"},
    "disks": {"type": "list", "elements": "int"},
    "hourly": {"type": "bool", "default": True},
    "public_key_file": {"type": "path"},
    "key_label": {"type": "str"},
    "cancel": {"type": "str"},
    "username": {"type": "str", "fallback": (env_fallback, ["SL_USERNAME"])},
    "api_key": {"type": "str", "no_log": True, "fallback": (env_fallback, ["SL_API_KEY"])},
    "endpoint": {"type": "str"},
    # The action plugin of the same name waits. It polls by id: a poll by name could order a second VM.
    "wait_timeout": {"type": "int", "default": 3600},
    "wait_interval": {"type": "int", "default": 15},
    "id": {"type": "int"},
}
ORDER_OPTIONS = ("cpus", "memory", "datacenter", "os_code", "disks", "public_key_file", "key_label")
# The API reads * and , in a name as operators.
LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
PATTERNS = {"hostname": LABEL, "domain": rf"{LABEL}(\.{LABEL})+", "tag": r"[\w:.-]+"}
# The API returns only these fields.
MASK = (
    "mask[id,fullyQualifiedDomainName,primaryIpAddress,primaryBackendIpAddress,provisionDate,maxCpu,maxMemory,"
    "datacenter[name],status[keyName],activeTransaction[id,transactionStatus[name,friendlyName]],"
    "lastOperatingSystemReload[id],tagReferences[tag[name]],userData[value]]"
)
CREDENTIALS = "username and api_key, or SL_USERNAME and SL_API_KEY in the environment, or ~/.softlayer"
TIMEOUT = 60
"""Maximum seconds for one answer of the API; the library would wait without limit."""


class VmError(Exception):
    """Carries the message that the module fails with; the message names what to change."""


class Account:
    """Finds, orders and cancels the VM of one name.

    Each method raises a VmError if the API refuses or does not answer.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        for name, pattern in PATTERNS.items():
            if not re.fullmatch(pattern, options[name], re.ASCII):
                raise VmError(f"{name} is {options[name]!r}; it must match {pattern}")
        if SoftLayer is None:
            raise VmError("the controller's Python has no package SoftLayer; run bin/bootstrap")
        self._options = options
        self.fqdn = f"{options['hostname']}.{options['domain']}"
        try:
            self._client = SoftLayer.create_client_from_env(
                username=options["username"],
                api_key=options["api_key"],
                endpoint_url=options["endpoint"],
                timeout=TIMEOUT,
            )
        except (configparser.Error, ValueError) as error:
            raise VmError(
                f"the settings in ~/.softlayer cannot be read: {one_line(error)}; correct the file"
            ) from error
        if self._client.auth is None:
            raise VmError(f"no credentials for SoftLayer; set {CREDENTIALS}")
        self._vms = SoftLayer.VSManager(self._client)
        self._keys = SoftLayer.SshKeyManager(self._client)

    def find(self) -> dict[str, Any] | None:
        """Return the VM with the id in the options, else the VM with the name; it must have the tag."""
        vms = [self.vm(self._options["id"])] if self._options["id"] else self._named()
        if not vms:
            return None
        if len(vms) > 1:
            ids = " and ".join(str(each["id"]) for each in vms)
            raise VmError(f"{self.fqdn} is the name of VMs {ids}; rename or cancel all but one in IBM's console")
        vm = vms[0]
        tag = self._options["tag"]
        if tag not in tags(vm) and tag not in [each.get("value") for each in vm.get("userData") or ()]:
            raise VmError(
                f"VM {vm['id']} is called {self.fqdn} but is not tagged {tag}; choose another hostname or domain,"
                f" or, if the VM is yours, tag it {tag} in IBM's console"
            )
        return vm

    def _named(self) -> list[dict[str, Any]]:
        name = {"hostname": self._options["hostname"], "domain": self._options["domain"]}
        with self._request("list the VMs"):
            listed = list(self._vms.list_instances(**name, mask=MASK))
        return [
            each
            for each in listed
            if each["fullyQualifiedDomainName"].lower() == self.fqdn.lower() and not cancelled(each)
        ]

    def vm(self, vm_id: int) -> dict[str, Any]:
        with self._request(f"show VM {vm_id}", "it may have been cancelled: run again to find or order it by name"):
            vm: dict[str, Any] = self._vms.get_instance(vm_id, mask=MASK)
        return vm

    def order(self, key: str, *, check_mode: bool) -> tuple[int | None, str]:
        """Order the VM, or have the order verified in check mode; return its id and its price."""
        with self._request("list the SSH keys"):
            listed = self._keys.list_keys()
        key_id = next((each["id"] for each in listed if each.get("fingerprint") == fingerprint(key)), None)
        if not (key_id or check_mode):
            with self._request("take the SSH key", "correct public_key_file or key_label"):
                key_id = self._keys.add_key(key, self._options["key_label"])["id"]
        names = ("hostname", "domain", "cpus", "memory", "datacenter", "os_code", "disks", "hourly")
        request = {name: self._options[name] for name in names} | {
            "local_disk": not self._options["san"],
            "ssh_keys": [key_id] if key_id else [],
            # Tags are set after the order. The run after an interrupted one finds the VM by its user data.
            "userdata": self._options["tag"],
        }
        advice = "correct what it names: os_code, datacenter, cpus, memory, disks or san"
        with self._request("sell that", f"{advice} (slcli vs create-options lists them)", "run again to find the VM"):
            answer = self._vms.order_guest(request, test=check_mode)
        details = answer if check_mode else answer["orderDetails"]
        vm_id = None if check_mode else details["virtualGuests"][0]["id"]
        return vm_id, price(details, hourly=self._options["hourly"])

    def tag(self, vm: dict[str, Any]) -> None:
        """Add the tag. The API replaces all tags, so the others are sent again."""
        with self._request(f"tag VM {vm['id']}", "run again: the VM is found by its order"):
            self._vms.set_tags(",".join([*tags(vm), self._options["tag"]]), vm["id"])

    def cancel(self, vm: dict[str, Any]) -> None:
        """Delete the VM and its disks at once."""
        with self._request(f"cancel VM {vm['id']}", "see its state in IBM's console, and run again"):
            self._vms.cancel_instance(vm["id"])

    @contextmanager
    def _request(
        self,
        purpose: str,
        advice: str = "check the user's permissions",
        unanswered: str = "check endpoint, proxy and network",
    ) -> Iterator[None]:
        """Translate the library's errors into a VmError with one line."""
        try:
            yield
        except (SoftLayer.SoftLayerError, xmlrpc.client.Error, ExpatError) as error:
            text = one_line(getattr(error, "faultString", error))
            code = getattr(error, "faultCode", None)
            if code == 401 or "invalid api token" in text.lower():
                message = f"SoftLayer refuses the credentials ({text}); correct {CREDENTIALS}"
            elif code == 0 or not isinstance(error, SoftLayer.SoftLayerError):
                message = f"no answer from {self._client.transport.endpoint_url} ({text}); {unanswered}"
            else:
                message = f"SoftLayer does not {purpose}: {text}; {advice}"
            raise VmError(message) from error


def one_line(text: object) -> str:
    """Return the text of an error without line breaks, at most 300 characters."""
    # The library appends the body of an HTTP error after a double colon.
    return " ".join(str(text).split(" :: ")[0].split())[:300].rstrip(".")


def read_key(file: str) -> str:
    """Read a public SSH key and check its format."""
    try:
        key = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise VmError(
            f"There is no SSH key {file} on the controller; make one (ssh-keygen -t rsa), or set public_key_file"
        ) from error
    fingerprint(key)
    return key


def fingerprint(key: str) -> str:
    """Return the MD5 fingerprint of a public key; label and comment do not change it."""
    try:
        kind, encoded = key.split()[:2]
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:
        kind, blob = "none", b""
    if blob[4 : 4 + len(kind)] != kind.encode():
        # The message does not quote the file: it may be a private key.
        raise VmError("public_key_file is not a public SSH key; give a file such as ~/.ssh/id_rsa.pub")
    return ":".join(re.findall("..", hashlib.md5(blob, usedforsecurity=False).hexdigest()))


def price(details: dict[str, Any], *, hourly: bool) -> str:
    """Return the total price of an order, and the price of each part."""
    fee = "hourlyRecurringFee" if hourly else "recurringFee"
    parts = [(each["item"]["description"], Decimal(str(each.get(fee, 0)))) for each in details["prices"]]
    total = f"{sum(each for _, each in parts):f} {details.get('currencyShortName') or 'USD'}"
    listed = ", ".join(f"{description} {each:f}" for description, each in parts)
    return f"{total} per {'hour' if hourly else 'month'} without taxes: {listed}"


def tags(vm: dict[str, Any]) -> list[str]:
    """Return the names of the VM's tags."""
    return [each["tag"]["name"] for each in vm.get("tagReferences") or ()]


def status(vm: dict[str, Any]) -> dict[str, str]:
    """Return the provisioning step that the VM is in."""
    return (vm.get("activeTransaction") or {}).get("transactionStatus") or {}


def cancelled(vm: dict[str, Any]) -> bool:
    """Return whether the VM was cancelled; the API lists it for some minutes more."""
    return "RECLAIM" in status(vm).get("name", "") or (vm.get("status") or {}).get("keyName") == "DISCONNECTED"


def describe(vm: dict[str, Any]) -> dict[str, Any]:
    """Translate the API's fields into the module's result."""
    public = vm.get("primaryIpAddress") or ""
    private = vm.get("primaryBackendIpAddress") or ""
    transaction = vm.get("activeTransaction") or {}
    reload = vm.get("lastOperatingSystemReload") or {}
    reloading = "id" in transaction and transaction["id"] == reload.get("id")
    return {
        "id": vm["id"],
        "fqdn": vm["fullyQualifiedDomainName"],
        "public_address": public,
        "private_address": private,
        "ready": bool(vm.get("provisionDate") and public and private) and not reloading,
        "step": status(vm).get("friendlyName", ""),
    }


def differences(vm: dict[str, Any], options: dict[str, Any]) -> str:
    """Return the sizes of the VM that differ from the options, as one phrase."""
    actual = {
        "cpus": vm.get("maxCpu"),
        "memory": vm.get("maxMemory"),
        "datacenter": (vm.get("datacenter") or {}).get("name"),
    }
    return ", ".join(f"{name} {value}, not {options[name]}" for name, value in actual.items() if value != options[name])


def present(module: AnsibleModule, account: Account) -> dict[str, Any]:
    """Find the VM, or order it, and add the missing tag; return the module's result."""
    key = read_key(module.params["public_key_file"])
    vm = account.find()
    changed = vm is None or module.params["tag"] not in tags(vm)
    cost = {}
    if vm is None:
        vm_id, cost["price"] = account.order(key, check_mode=module.check_mode)
        if vm_id is None:
            return absent_result(account) | cost | {"changed": True}
        vm = account.vm(vm_id)
    elif different := differences(vm, module.params):
        module.warn(f"{account.fqdn} has {different}; it is never resized")
    if changed and not module.check_mode:
        account.tag(vm)
    return describe(vm) | cost | {"changed": changed}


def absent(module: AnsibleModule, account: Account) -> dict[str, Any]:
    """Cancel the VM if the option cancel is its full name; return the module's result."""
    if module.params["cancel"] != account.fqdn:
        raise VmError(
            f"cancel is {module.params['cancel'] or 'empty'}, and the VM is {account.fqdn}. Cancelling deletes it with"
            " its disks, at once; set cancel to the VM's full name if you mean that"
        )
    vm = account.find()
    if vm and not module.check_mode:
        account.cancel(vm)
    return (describe(vm) if vm else absent_result(account)) | {"changed": vm is not None}


def absent_result(account: Account) -> dict[str, Any]:
    """Return the module's result if there is no VM."""
    return {"id": None, "fqdn": account.fqdn, "public_address": "", "private_address": "", "ready": False, "step": ""}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[("state", "present", ORDER_OPTIONS), ("state", "absent", ["cancel"])],
        supports_check_mode=True,
    )
    try:
        account = Account(module.params)
        result = (present if module.params["state"] == "present" else absent)(module, account)
    except VmError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
