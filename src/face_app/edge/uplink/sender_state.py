"""Describe the state of the sender for health, logs and error messages."""

from dataclasses import dataclass

QUIET_SECONDS = 10.0
"""Seconds without a receipt after which the missing receipt is reported as the obstacle."""


@dataclass(frozen=True)
class SenderState:
    """Contains one observation of the sender.

    Attributes:
        broker: Host and port.
        running: Seconds since the sender was created.
        elected: True if this process sends for the outbox; otherwise another process does.
        connected: True while the connection to the broker is open.
        hops: State of each hop of the uplink by name; empty if there is no forwarder.
        up: True while every hop to the cloud is up.
        quiet: Seconds since the last receipt while faces are in flight and the uplink is up; 0 while it is down.
        window: Maximum number of faces in flight now.
        aside: Number of waiting faces that the broker cannot accept.
        aside_reason: Reason for them, as text for an operator.
        refusal: Reason why the broker refuses the connection permanently; None if it does not.
        failure: Error that ended the sender; empty if it runs.
    """

    broker: str
    running: float
    elected: bool
    connected: bool
    hops: dict[str, bool]
    up: bool
    quiet: float
    window: int
    aside: int
    aside_reason: str
    refusal: str | None
    failure: str

    @property
    def obstacle(self) -> str:  # noqa: PLR0911 - a list of causes in their order
        """Return the most likely reason why a face waits, as text for an operator."""
        if self.failure:
            return self.failure
        if not self.elected:
            return "another process sends for this outbox, check its log"
        if self.refusal:
            return f"broker {self.broker} refuses the connection: {self.refusal}"
        if not self.connected:
            return f"broker {self.broker} is not reached, check broker.host and broker.port"
        if not self.up:
            return "the forwarder does not reach the cloud"
        if self.quiet >= QUIET_SECONDS:
            return f"no receipt came for {self.quiet:.0f} s, check the subscriber"
        return self.aside_reason or "they are in flight"
