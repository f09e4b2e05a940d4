"""The result of a login: accepted, refused by the host, or never answered."""

from types import SimpleNamespace

import pytest

from support.plugin import load_plugin

ssh_login = load_plugin("action/ssh_login.py")

REACHED = "debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1\n"
ACCEPTED = (
    f"{REACHED}debug1: Offering public key: id_ed25519 ED25519 SHA256:x agent\n"
    'Authenticated to jetson ([192.0.2.7]:22) using "publickey".\n'
)
REFUSED = (
    f"{REACHED}debug1: Authentications that can continue: publickey,password\n"
    "face-admin@jetson: Permission denied (publickey,password).\n"
)
# The ssh of a jump host prints its own refusal, without a line of the log level DEBUG1.
REFUSED_BY_JUMP_HOST = (
    "debug1: Executing proxy command: exec ssh -W '[jetson]:22' jump\n"
    "admin@jump: Permission denied (publickey).\n"
    "kex_exchange_identification: Connection closed by remote host\n"
)
UNKNOWN_KEY_OF_JUMP_HOST = "Host key verification failed.\nConnection closed by UNKNOWN port 65535\n"


@pytest.mark.parametrize(
    ("stderr", "login", "answered"),
    [
        (ACCEPTED, True, True),
        (REFUSED, False, True),
        (f"{REACHED}Host key verification failed.\n", False, True),
        (f"{REACHED}Received disconnect from 192.0.2.7 port 22:2: Too many authentication failures\n", False, True),
        ("ssh: connect to host jetson port 22: Connection refused\n", False, False),
        (REFUSED_BY_JUMP_HOST, False, False),
        (UNKNOWN_KEY_OF_JUMP_HOST, False, False),
    ],
)
def test_a_refusal_counts_only_if_the_host_was_reached(stderr, login, answered):
    result = ssh_login.result(255, "", stderr)
    assert (result["login"], result["answered"]) == (login, answered)


def test_lists_methods_keys_and_the_last_line():
    assert ssh_login.result(0, " root\n", ACCEPTED)["keys_offered"] == 1
    refused = ssh_login.result(255, "", REFUSED)
    assert refused["methods"] == ["publickey", "password"]
    assert refused["message"] == "face-admin@jetson: Permission denied (publickey,password)."


def test_refuses_an_unknown_method(monkeypatch):
    monkeypatch.setattr(ssh_login.ActionBase, "run", lambda *_: {})
    action = object.__new__(ssh_login.ActionModule)
    action._connection = SimpleNamespace(transport="ssh")
    action._task = SimpleNamespace(args={"by": "finger"})
    assert action.run() == {"changed": False, "failed": True, "msg": "by is finger; set it to key or password"}
