"""The password hash: accepted by Mosquitto and the same in every run."""

import re
import subprocess
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError

from support.mosquitto import mosquitto
from support.plugin import load_plugin

mosquitto_password = load_plugin("filter/mosquitto.py").FilterModule().filters()["mosquitto_password"]


def _login(port: int, user: str, password: str) -> int:
    probe = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-u", user, "-P", password, "-t", "t", "-n"]
    return subprocess.run(probe, capture_output=True, timeout=90, check=False).returncode


def test_a_real_broker_accepts_the_password_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "passwd"
    file.write_text(
        f"face_app:{mosquitto_password('päss word$1', 'jetson face_app')}\n"
        f"forwarder:{mosquitto_password('other', 'jetson forwarder', 101)}\n"
    )
    with mosquitto(["allow_anonymous false", f"password_file {file}"]) as broker:
        assert _login(broker.port, "face_app", "päss word$1") == 0
        assert _login(broker.port, "forwarder", "other") == 0
        assert _login(broker.port, "face_app", "other") != 0
        assert _login(broker.port, "face_app", "") != 0


def test_the_same_input_gives_the_same_line_and_other_input_another() -> None:
    line = mosquitto_password("secret", "jetson face_app")
    assert line == mosquitto_password("secret", "jetson face_app")
    others = {
        mosquitto_password("Secret", "jetson face_app"),
        mosquitto_password("secret", "jetson2 face_app"),
        mosquitto_password("secret", "jetson face_app", 20000),
    }
    assert len({line, *others}) == 4


def test_the_salt_does_not_reveal_the_password() -> None:
    salt = re.compile(r"\$7\$10000\$([A-Za-z0-9+/]{16})\$[A-Za-z0-9+/]{86}==")
    first, second = (salt.fullmatch(mosquitto_password(word, "jetson")) for word in ("one", "two"))
    assert first
    assert second
    assert first[1] == second[1]


def test_an_empty_password_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="password is empty"):
        mosquitto_password("", "jetson")
