"""Whether what is sent can reach the cloud."""

from face_app.common.wire import link_topics


class Link:
    """The way up: our connection and, with a forwarder, its two hops.

    The hops are told by retained messages, which come anew with every connection; until then they count as down.

    Attributes:
        connected: Whether the broker has us.
        up_since: Since when the whole way is open, by the clock of the caller; None while it is not.
    """

    def __init__(self, edge: str, *, bridged: bool) -> None:
        self.topics = link_topics(edge) if bridged else ()
        self.connected = False
        self.up_since: float | None = None
        self._hops = dict.fromkeys(self.topics, False)

    def connection(self, now: float, *, connected: bool) -> None:
        """Our connection came or went."""
        self.connected = connected
        self._hops = dict.fromkeys(self.topics, False)
        self._update(now)

    def hop(self, topic: str, payload: bytes, now: float) -> None:
        """One hop is told to be up (``1``) or down."""
        self._hops[topic] = payload == b"1"
        self._update(now)

    def receipt(self, now: float) -> None:
        """A receipt came, so both hops carry: a state that says otherwise is an old one."""
        if self.connected:
            self._hops = dict.fromkeys(self.topics, True)
            self._update(now)

    @property
    def hops(self) -> dict[str, bool]:
        """Which hop is open; empty where no forwarder tells."""
        return {topic.rpartition("/")[2]: up for topic, up in self._hops.copy().items()}

    def _update(self, now: float) -> None:
        up = self.connected and all(self._hops.values())
        if not up:
            self.up_since = None
        elif self.up_since is None:
            self.up_since = now
