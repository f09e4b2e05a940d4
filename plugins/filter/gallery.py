"""Hash passwords for the gallery. The same input gives the same hash, so that a second run changes nothing."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import lru_cache

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: gallery_password
short_description: Hash a generated password for a user of the gallery
description:
  - The value that C(face-app gallery-password) prints; its salt is not random, but derived from I(salt).
options:
  _input:
    description: The password.
    type: str
    required: true
  salt:
    description: Text that differs between deployments and users. It must not contain the password.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: An admin whose password is in the vault
  ansible.builtin.set_fact:
    gallery_users: [{name: ada, role: admin, password: "{{ vault_gallery_password | gallery_password('home ada') }}"}]
"""

RETURN = r"""
_value:
  description: C(scrypt$<cost>$<block>$<lanes>$<salt>$<hash>), the last two in base64.
  type: str
"""

N, R, P = 2**14, 8, 5
"""Parameters of scrypt: those of `face-app gallery-password`."""
MAX_MEMORY = 64 * 1024 * 1024
MIN_LENGTH, MAX_LENGTH = 10, 1024
"""Length of a password, characters: as `face-app gallery-password` demands."""
SALT_BYTES = 16


# Ansible computes a variable again for each use, several times in a task, and each hash takes a third of a second.
@lru_cache(maxsize=128)
def gallery_password(password: str, salt: str) -> str:
    """Hash a password for the gallery.

    Args:
        password: The password.
        salt: Text from which the salt is derived.

    Raises:
        AnsibleFilterError: The password is too short or too long.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise AnsibleFilterError(
            f"the password for the gallery has {len(password)} characters; choose {MIN_LENGTH} to {MAX_LENGTH}"
        )
    salt_bytes = hashlib.sha256(salt.encode()).digest()[:SALT_BYTES]
    digest = hashlib.scrypt(password.encode(), salt=salt_bytes, n=N, r=R, p=P, maxmem=MAX_MEMORY, dklen=32)
    return f"scrypt${N}${R}${P}${b64encode(salt_bytes).decode()}${b64encode(digest).decode()}"


class FilterModule:
    """Registers the filters with Ansible."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"gallery_password": gallery_password}
