"""A public SSH key, as SoftLayer knows it."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from ansible.module_utils.softlayer_error import VmError


@dataclass(frozen=True)
class PublicKey:
    """One line of an authorized_keys file.

    Attributes:
        text: The line.
        fingerprint: MD5 over the key, in hexadecimal with colons. It stays the same under every label and comment.
    """

    text: str
    fingerprint: str

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Read a line such as ``ssh-rsa AAAA… me@desk``.

        Raises:
            VmError: It is not a public key. The message does not show it: it may be a private one.
        """
        words = text.split()
        try:
            blob = base64.b64decode(words[1], validate=True)
            kind = blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode()
        except (IndexError, ValueError, binascii.Error):
            kind = ""
        if not kind or kind != words[0]:
            raise VmError(
                "public_key is not a public SSH key; give the one line of a file such as ~/.ssh/id_rsa.pub"
                " (ssh-keygen -t rsa makes one)"
            )
        digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
        return cls(text.strip(), ":".join(digest[at : at + 2] for at in range(0, 32, 2)))
