"""Read the users, and check passwords.

The file is JSON: ``{"users": [{"name": "anna", "role": "admin", "password": "scrypt$16384$8$5$<salt>$<hash>"}]}``.
"""

import hashlib
import hmac
import secrets
import threading
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from face_app.common.errors import SettingsError
from face_app.common.settings.section import Name

Role = Literal["viewer", "admin"]

N, R, P = 2**14, 8, 5
"""The scrypt parameters that OWASP recommends for 16 MiB of memory: a fifth of a second."""
MAX_N = 2**17
"""A file may not ask for a slower hash: anyone can start one with a wrong password."""
MAX_MEMORY = 256 * 1024 * 1024
DIGEST_BYTES = 32
MIN_LENGTH, MAX_LENGTH = 10, 1024
"""Length of a password, characters: short ones are guessed, long ones only cost memory."""


class _User(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    role: Role
    password: str = Field(pattern=r"^scrypt\$[0-9]{1,7}\$[0-9]{1,2}\$[0-9]{1,2}\$[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+$")

    @field_validator("password")
    @classmethod
    def _can_match(cls, hashed: str) -> str:
        """Refuse a hash that no password can match: with parameters that scrypt refuses, or of another length."""
        _, n, r, p, salt, digest = hashed.split("$")
        # The rules of OpenSSL: a power of two, and 128 bytes times r for each of n blocks and p lanes.
        valid = 1 < int(n) <= MAX_N and int(n).bit_count() == 1 and int(r) > 0 and int(p) > 0
        if not valid or 128 * int(r) * (int(n) + int(p) + 2) > MAX_MEMORY:
            raise ValueError("scrypt parameters")
        if not b64decode(salt, validate=True) or len(b64decode(digest, validate=True)) != DIGEST_BYTES:
            raise ValueError("salt or hash")
        return hashed


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    users: list[_User] = Field(min_length=1)


@dataclass(frozen=True)
class User:
    """Identifies the user of a request.

    Attributes:
        name: Name of the user.
        role: ``viewer`` sees faces, ``admin`` erases them too.
    """

    name: str
    role: Role


LOCAL = User("local", "viewer")
"""The user of every request where no login is configured: it comes from this machine."""


class Users:
    """Finds users by name, and checks their passwords. Thread-safe."""

    def __init__(self, file: Path) -> None:
        """Read the file.

        Raises:
            SettingsError: It cannot be read, or is not as the module describes it.
        """
        try:
            users = _File.model_validate_json(file.read_bytes()).users
        except OSError as error:
            raise SettingsError(f"users_file {file}: {error.strerror}") from error
        except ValidationError as error:
            # The message of pydantic contains the value, which may be a password.
            where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "file"
            raise SettingsError(
                f"users_file {file}: {where} is invalid; docs/gallery.md describes it, "
                "`face-app gallery-password` makes the value of password"
            ) from error
        self._users = {user.name: user for user in users}
        if repeated := [user.name for user in users if user is not self._users[user.name]]:
            raise SettingsError(f"users_file {file}: two users are named {repeated[0]}; rename or remove one")
        self._dummy_hash = hash_password(secrets.token_hex(16))
        # One hash at a time: each needs 16 MiB, and a core for a fifth of a second.
        self._lock = threading.Lock()

    def verify(self, name: str, password: str) -> User | None:
        """Return the user with this name and password; None if there is none. An unknown name takes as long."""
        known = self._users.get(name)
        with self._lock:
            matches = check_password(password, known.password if known else self._dummy_hash)
        return self.find(name) if matches else None

    def find(self, name: str) -> User | None:
        """Return the user with this name."""
        known = self._users.get(name)
        return User(known.name, known.role) if known else None


def hash_password(password: str) -> str:
    """Return the value of ``password`` in the file of the users."""
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, N, R, P)
    return f"scrypt${N}${R}${P}${b64encode(salt).decode()}${b64encode(digest).decode()}"


def check_password(password: str, hashed: str) -> bool:
    """Compare a password with its hash in constant time."""
    try:
        _, n, r, p, salt, digest = hashed.split("$")
        given = _scrypt(password, b64decode(salt), int(n), int(r), int(p))
        return hmac.compare_digest(given, b64decode(digest))
    except (ValueError, MemoryError):
        return False


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    secret = password[:MAX_LENGTH].encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=MAX_MEMORY, dklen=DIGEST_BYTES)
