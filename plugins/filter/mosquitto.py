"""Password hashes as Mosquitto reads them, the same for the same input, so that a second run changes nothing."""

from __future__ import annotations

import hashlib
from base64 import b64encode

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: mosquitto_password
short_description: Hash a password for a Mosquitto password file
description:
  - PBKDF2 with HMAC-SHA512, the scheme that Mosquitto writes as C($7$), with a salt that is derived instead of drawn.
options:
  _input:
    description: The password.
    type: str
    required: true
  salt:
    description:
      - What the salt is derived from, such as host and user name. Not secret, different for every password file line.
      - The password must not be part of it, or the salt would be a quick test for guesses.
    type: str
    required: true
  iterations:
    description: Rounds of PBKDF2. The broker spends them at each connection.
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


def mosquitto_password(password: str, salt: str, iterations: int = 10000) -> str:
    """Hash a password for a Mosquitto password file.

    Args:
        password: The password, at least one character.
        salt: What the salt is derived from.
        iterations: Rounds of PBKDF2.

    Raises:
        AnsibleFilterError: The password is empty; Mosquitto would refuse every login.
    """
    if not password:
        raise AnsibleFilterError("the password is empty: set one, for example in the vault")
    seasoning = hashlib.sha256(salt.encode()).digest()[:SALT_BYTES]
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), seasoning, iterations)
    return f"$7${iterations}${b64encode(seasoning).decode()}${b64encode(digest).decode()}"


class FilterModule:
    """What Ansible finds here."""

    def filters(self) -> dict[str, object]:
        """Filters by name."""
        return {"mosquitto_password": mosquitto_password}
