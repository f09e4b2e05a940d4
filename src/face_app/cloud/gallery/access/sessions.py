"""Sign sessions: a cookie that only this process can make, and a token against forged requests."""

import base64
import hmac
import secrets
import time
from dataclasses import dataclass
from threading import Lock

from face_app.cloud.gallery.access.users import User, Users

MOST_ENDED = 10_000
"""Maximum number of ended sessions that are remembered until they expire."""


@dataclass(frozen=True)
class Session:
    """Describes a login.

    Attributes:
        user: Who logged in.
        expires_at: Seconds since 1970 at which it ends.
        id: Random, 32 hex digits.
    """

    user: User
    expires_at: float
    id: str


class Sessions:
    """Makes and checks sessions. The key is random for each start, so a restart ends them. Thread-safe."""

    def __init__(self, users: Users, *, hours: float) -> None:
        self._users = users
        self._seconds = hours * 3600
        self._key = secrets.token_bytes(32)
        self._ended: dict[str, float] = {}
        self._lock = Lock()

    def begin(self, user: User) -> str:
        """Begin a session; return the value of its cookie."""
        session = Session(user, time.time() + self._seconds, secrets.token_hex(16))
        content = base64.urlsafe_b64encode(f"{user.name} {session.expires_at:.0f} {session.id}".encode()).decode()
        return f"{content}.{self._sign('session', content)}"

    def check(self, cookie: str) -> Session | None:
        """Return the session of a cookie; None if it is not signed by this process, has expired or was ended.

        The role is read from the users each time.
        """
        content, _, signature = cookie.partition(".")
        if not hmac.compare_digest(self._sign("session", content).encode(), signature.encode("utf-8", "replace")):
            return None
        name, expires_at, session_id = base64.urlsafe_b64decode(content).decode().split(" ")
        user = self._users.find(name)
        if user is None or time.time() >= float(expires_at) or session_id in self._ended:
            return None
        return Session(user, float(expires_at), session_id)

    def end(self, session: Session) -> None:
        """End a session; its cookie is refused from now on."""
        now = time.time()
        with self._lock:
            self._ended = {known: end for known, end in self._ended.items() if end > now}
            if len(self._ended) < MOST_ENDED:
                self._ended[session.id] = session.expires_at

    def token(self, session: Session) -> str:
        """Return the token that every form of this session carries."""
        return self._sign("form", session.id)

    def token_matches(self, session: Session, token: str) -> bool:
        """Compare the token of a form in constant time."""
        return hmac.compare_digest(self.token(session).encode(), token.encode("utf-8", "replace"))

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose} {text}".encode("utf-8", "replace"), "sha256").hexdigest()
