#!/usr/bin/python
"""Order a VM at SoftLayer once, find it again ever after, cancel it when asked by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule, env_fallback
from ansible.module_utils.softlayer_account import Account
from ansible.module_utils.softlayer_error import VmError
from ansible.module_utils.softlayer_key import PublicKey
from ansible.module_utils.softlayer_order import Order

if TYPE_CHECKING:
    from ansible.module_utils.softlayer_machine import Machine

DOCUMENTATION = r"""
module: softlayer_vm
short_description: Order a VM at SoftLayer (IBM's classic infrastructure)
description:
  - Finds the VM by its full name and its tag, and orders it where it is missing. A second run changes nothing.
  - Waits until the VM is ready, and shows each step of its provisioning.
  - A VM of that name without the tag is somebody else's, and two VMs of that name are one too many; both are errors.
  - A VM that is there is never resized; what differs is a warning.
  - Runs on the controller.
requirements:
  - SoftLayer
options:
  state:
    description: Whether the VM is there. With C(absent) it is cancelled with its disks, at once.
    type: str
    choices: [present, absent]
    default: present
  hostname:
    description: First part of its name.
    type: str
    required: true
  domain:
    description: The rest of its name.
    type: str
    required: true
  tag:
    description:
      - What tells it from other people's VMs. It is also the user data of the order.
      - Put it on a VM by hand to have that one taken over.
    type: str
    default: face-app
  cpus:
    description: How many. Required with I(state=present).
    type: int
  memory:
    description: In MiB. Required with I(state=present).
    type: int
  datacenter:
    description: Short name, such as C(wdc04). Required with I(state=present).
    type: str
  san:
    description: Whether its disks are on the network; otherwise they are local.
    type: bool
    default: true
  os_code:
    description: Reference code of the system.
    type: str
    default: UBUNTU_24_64
  disks:
    description: Sizes in GB; the first holds the system.
    type: list
    elements: int
    default: [100]
  hourly:
    description: Whether it is billed by the hour; otherwise by the month.
    type: bool
    default: true
  public_key:
    description:
      - The public SSH key for root, one line. Required with I(state=present).
      - It is found by its fingerprint under any label, and uploaded where it is missing.
    type: str
  key_label:
    description: Label of a key that is uploaded.
    type: str
    default: face-app
  id:
    description: Number of the VM. Then it is not looked for by name, and never ordered.
    type: int
  wait_timeout:
    description: Seconds the VM has until it is ready. 0 does not wait.
    type: int
    default: 3600
  wait_interval:
    description: Seconds between two looks.
    type: int
    default: 15
  confirm:
    description: Full name of the VM that may be cancelled. Required with I(state=absent).
    type: str
  username:
    description: User of the API; C(apikey) with a key of IBM Cloud. Default - C(SL_USERNAME), then C(~/.softlayer).
    type: str
  api_key:
    description: Its key. Default - C(SL_API_KEY), then C(~/.softlayer).
    type: str
  endpoint:
    description: Address of the API. Default - the one in C(~/.softlayer), then IBM's public one.
    type: str
author:
  - The face-app authors
"""

EXAMPLES = r"""
- name: Order the VM of the write-up
  softlayer_vm:
    hostname: face-server
    domain: server.cloud
    cpus: 2
    memory: 4096
    datacenter: wdc04
    public_key: "{{ lookup('ansible.builtin.file', '~/.ssh/id_rsa.pub') }}"
  delegate_to: localhost
  register: vm

- name: Cancel it
  softlayer_vm:
    hostname: face-server
    domain: server.cloud
    state: absent
    confirm: face-server.server.cloud
  delegate_to: localhost
"""

RETURN = r"""
id:
  description: Number of the VM; null where there is none.
  type: int
  returned: always
fqdn:
  description: Its full name.
  type: str
  returned: always
public_address:
  description: Empty until it has one.
  type: str
  returned: always
private_address:
  description: Empty until it has one.
  type: str
  returned: always
ready:
  description: Whether it can be used.
  type: bool
  returned: always
step:
  description: What is being done with it, in the API's words.
  type: str
  returned: always
price:
  description: What it costs without taxes; I(total), I(period), I(currency), and the I(items) with their fees.
  type: dict
  returned: when it was ordered, or would be
"""

ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "hostname": {"type": "str", "required": True},
    "domain": {"type": "str", "required": True},
    "tag": {"type": "str", "default": "face-app"},
    "cpus": {"type": "int"},
    "memory": {"type": "int"},
    "datacenter": {"type": "str"},
    "san": {"type": "bool", "default": True},
    "os_code": {"type": "str", "default": "UBUNTU_24_64"},
    "disks": {"type": "list", "elements": "int", "default": [100]},
    "hourly": {"type": "bool", "default": True},
    "public_key": {"type": "str"},
    "key_label": {"type": "str", "default": "face-app"},
    "id": {"type": "int"},
    # These two are for the action plugin of the same name, which does the waiting.
    "wait_timeout": {"type": "int", "default": 3600},
    "wait_interval": {"type": "int", "default": 15},
    "confirm": {"type": "str"},
    "username": {"type": "str", "fallback": (env_fallback, ["SL_USERNAME"])},
    "api_key": {"type": "str", "no_log": True, "fallback": (env_fallback, ["SL_API_KEY"])},
    "endpoint": {"type": "str"},
}
NOWHERE = {"id": None, "public_address": "", "private_address": "", "ready": False, "step": ""}


def own(machine: Machine, order: Order) -> Machine:
    """Let our own VM through.

    Raises:
        VmError: It is somebody else's.
    """
    if not machine.belongs_to(order.tag):
        raise VmError(
            f"VM {machine.id} is called {machine.fqdn} and is not tagged {order.tag}; choose another hostname or"
            f" domain, or tag it {order.tag} in IBM's console if it is yours"
        )
    return machine


def find(account: Account, order: Order, machine_id: int | None) -> Machine | None:
    machine = account.machine_of_id(machine_id) if machine_id else account.machine(order)
    return own(machine, order) if machine else None


def present(module: AnsibleModule, account: Account, order: Order) -> dict[str, Any]:
    key = PublicKey.parse(module.params["public_key"])
    machine, price = find(account, order, module.params["id"]), None
    changed = machine is None or order.tag not in machine.tags
    if machine:
        if differences := machine.differences(order):
            module.warn(f"{machine.fqdn} has {', '.join(differences)}; it stays as it is")
    else:
        key_id = account.key_id(key)
        if module.check_mode:
            return NOWHERE | {"changed": True, "fqdn": order.fqdn, "price": account.verify(order, key_id).told()}
        machine_id, price = account.order(order, key_id or account.add_key(key, module.params["key_label"]))
        machine = account.machine_of_id(machine_id)
    if changed and not module.check_mode:
        account.tag(machine, order.tag)
    return machine.told() | {"changed": changed} | ({"price": price.told()} if price else {})


def absent(module: AnsibleModule, account: Account, order: Order) -> dict[str, Any]:
    machine = find(account, order, module.params["id"])
    if machine and not module.check_mode:
        account.cancel(machine)
    return (machine.told() if machine else NOWHERE | {"fqdn": order.fqdn}) | {"changed": machine is not None}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[
            ("state", "present", ("cpus", "memory", "datacenter", "public_key")),
            ("state", "absent", ("confirm",)),
        ],
        supports_check_mode=True,
    )
    given = module.params
    try:
        order = Order(
            hostname=given["hostname"],
            domain=given["domain"],
            cpus=given["cpus"],
            memory=given["memory"],
            datacenter=given["datacenter"],
            san=given["san"],
            os_code=given["os_code"],
            disks=tuple(given["disks"]),
            hourly=given["hourly"],
            tag=given["tag"],
        )
        if given["state"] == "absent" and given["confirm"] != order.fqdn:
            raise VmError(f"confirm is {given['confirm']!r}; the VM is cancelled only where it says {order.fqdn}")
        account = Account(given["username"], given["api_key"], given["endpoint"])
        result = present(module, account, order) if given["state"] == "present" else absent(module, account, order)
    except VmError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
