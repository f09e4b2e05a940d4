"""How sending goes, for whoever asks."""

from dataclasses import dataclass

QUIET_SECONDS = 10.0
"""Without a receipt until that is worth a word."""


@dataclass(frozen=True)
class SenderState:
    """How sending goes.

    Attributes:
        broker: Host and port.
        running: Seconds since the program began to send.
        elected: Whether this process sends for the outbox; if not, another one does.
        connected: Whether the broker has us.
        hops: Which hop of the way is open, by its name; empty where no forwarder tells.
        up: Whether the whole way to the cloud is open.
        quiet: Seconds that faces have been on an open way without a receipt; 0 while it is closed.
        window: Faces that may be on their way at a time now.
        refusal: Why the broker refuses the connection permanently, or None.
        failure: Why sending has ended, or empty.
    """

    broker: str
    running: float
    elected: bool
    connected: bool
    hops: dict[str, bool]
    up: bool
    quiet: float
    window: int
    refusal: str | None
    failure: str

    @property
    def obstacle(self) -> str:
        """What a face that waits is most likely waiting for, in words for an operator."""
        if self.failure:
            return self.failure
        if not self.elected:
            return "another process sends for this outbox, look at its log"
        if self.refusal:
            return f"broker {self.broker} refuses the connection: {self.refusal}"
        if not self.connected:
            return f"broker {self.broker} is not reached, check broker.host and broker.port"
        if not self.up:
            return "the forwarder does not reach the cloud"
        late = self.quiet >= QUIET_SECONDS
        return f"no receipt came for {self.quiet:.0f} s, look at the subscriber" if late else "they are on their way"
