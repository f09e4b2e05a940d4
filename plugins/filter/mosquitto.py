"""Hash passwords for Mosquitto. The same input gives the same hash, so that a second run changes nothing."""

from __future__ import annotations

import hashlib
from base64 import b64encode

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: mosquitto_password
short_description: Hash a password for a Mosquitto password file
description:
  - PBKDF2 with HMAC-SHA512, the scheme that Mosquitto writes as C($7$). The salt is not random, but
    derived from I(salt).
options:
  _input:
    description: The password.
    type: str
    required: true
  salt:
    description:
      - Text from which the salt is derived, such as host and user name. Not secret, different for each
        line of a password file.
      - The text must not contain the password, because the salt would then be a quick test of guesses.
    type: str
    required: true
  iterations:
    description: Rounds of PBKDF2. The broker computes them at each connection.
    type: int
    default: 10000
"""

EXAMPLES = r"""
- name: One line of a password file
  ansible.builtin.debug:
    msg: "face_app:{{ password | mosquitto_password('jetson face_app') }}"
"""

RETURN = r"""
_value:
  description: C($7$<iterations>$<salt>$<hash>), the last two in base64.
  type: str
"""

SALT_BYTES = 12
"""Length of the salts that Mosquitto writes itself."""


def mosquitto_password(password: str, salt: str, iterations: int = 10000) -> str:
    """Hash a password for a Mosquitto password file.

    Args:
        password: The password, at least one character.
        salt: Text from which the salt is derived.
        iterations: Rounds of PBKDF2.

    Raises:
        AnsibleFilterError: The password is empty; Mosquitto would refuse every login.
    """
    if not password:
        raise AnsibleFilterError("the password is empty: set one, for example in the vault")
    salt_bytes = hashlib.sha256(salt.encode()).digest()[:SALT_BYTES]
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt_bytes, iterations)
    return f"$7${iterations}${b64encode(salt_bytes).decode()}${b64encode(digest).decode()}"


class FilterModule:
    """Registers the filters with Ansible."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"mosquitto_password": mosquitto_password}
