"""Track the state of the uplink: the connection to the broker and the hops of the forwarder."""

from face_app.common.wire import hop_topics


class Uplink:
    """Combines the states of all hops. A forwarder has two: edge broker to forwarder, and forwarder to cloud.

    Retained messages report the state of each hop, and arrive again after each connect. A hop counts as down until its
    report arrives. Without a forwarder the uplink is up while the connection is open.

    Attributes:
        topics: Topics with the states of the hops; empty if there is no forwarder.
        connected: True while the connection to the broker is open.
        up_since: Time since which every hop is up, by the caller's clock in seconds; None while a hop is down.
    """

    def __init__(self, edge: str, *, bridged: bool) -> None:
        """Start without a connection.

        Args:
            edge: Name of the edge, which the topics of its hops contain.
            bridged: True if a forwarder publishes the state of its hops; False if there is no forwarder.
        """
        self.topics = hop_topics(edge) if bridged else ()
        self.connected = False
        self.up_since: float | None = None
        self._hops = dict.fromkeys(self.topics, False)
        self._silent = set(self.topics)

    @property
    def reported(self) -> bool:
        """Return True once every hop was reported on this connection, and without a forwarder."""
        return not self._silent

    def connection_changed(self, now: float, *, connected: bool) -> None:
        """Record that the connection to the broker opened or closed."""
        self.connected = connected
        self._hops = dict.fromkeys(self.topics, False)
        self._silent = set(self.topics)
        self._update(now)

    def hop_changed(self, topic: str, payload: bytes, now: float) -> None:
        """Record the reported state of a hop.

        Args:
            topic: One of `topics`.
            payload: ``1`` if the hop is up; anything else means down.
            now: Current time by the caller's clock, in seconds.
        """
        self._hops[topic] = payload == b"1"
        self._silent.discard(topic)
        self._update(now)

    def receipt_arrived(self, now: float) -> None:
        """Record that every hop is up: the receipt passed them, so an earlier report of a broken hop is outdated."""
        if self.connected:
            self._hops = dict.fromkeys(self.topics, True)
            self._update(now)

    @property
    def hops(self) -> dict[str, bool]:
        """Return the state of each hop by name; empty if there is no forwarder."""
        # A copy, because health checks of other threads read it while the sender changes it.
        return {topic.rpartition("/")[2]: up for topic, up in self._hops.copy().items()}

    def _update(self, now: float) -> None:
        up = self.connected and all(self._hops.values())
        if not up:
            self.up_since = None
        elif self.up_since is None:
            self.up_since = now
