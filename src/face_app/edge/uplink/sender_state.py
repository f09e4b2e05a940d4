"""Describe the state of the sender for health, logs and error messages."""

from dataclasses import dataclass

QUIET_SECONDS = 10.0
"""Seconds without a receipt after which the missing receipt is reported as the obstacle."""

FORWARDER_LOG = "its log names the cause: docker logs forwarder"


@dataclass(frozen=True)
class SenderState:
    """Contains one observation of the sender.

    Attributes:
        broker: Host and port.
        running: Seconds since the sender was created.
        elected: True if this process sends for the outbox; otherwise another process does.
        connected: True while the connection to the broker is open.
        hops: State of each hop of the uplink by name; empty if there is no forwarder.
        reported: True if the forwarder has reported every hop, and without a forwarder.
        up: True while every hop to the cloud is up.
        quiet: Seconds since the last receipt while faces are in flight and the uplink is up; 0 while it is down.
        window: Maximum number of faces in flight now.
        aside: Number of waiting faces that the broker cannot accept.
        aside_reason: Reason for them, as text for an operator.
        problem: Reason why no receipt can arrive from the broker, which it names; empty if one can.
        refused: True if the broker refuses the connection permanently.
        failure: Error that ended the sender; empty if it runs.
    """

    broker: str
    running: float
    elected: bool
    connected: bool
    hops: dict[str, bool]
    reported: bool
    up: bool
    quiet: float
    window: int
    aside: int
    aside_reason: str
    problem: str
    refused: bool
    failure: str

    @property
    def obstacle(self) -> str:
        """Return the most likely reason why a face waits, as text for an operator."""
        if self.failure:
            return self.failure
        if not self.elected:
            return "another process sends for this outbox, check its log"
        if self.problem:
            return self.problem
        if not self.up:
            return self._broken_hop
        if self.quiet >= QUIET_SECONDS:
            return f"no receipt came for {self.quiet:.0f} s, {self._receipts_advice}"
        return self.aside_reason or "they are in flight"

    @property
    def _broken_hop(self) -> str:
        if not self.reported:
            return (
                f"no forwarder reports its hops to broker {self.broker}: start it, or set sender.link to direct if the "
                "bridge of another product forwards the faces"
            )
        if not self.hops.get("forwarder", True):
            return f"the forwarder does not reach broker {self.broker}, {FORWARDER_LOG}"
        return f"the forwarder does not reach the cloud, {FORWARDER_LOG}"

    @property
    def _receipts_advice(self) -> str:
        if self.hops:
            return "check the subscriber"
        return "check the subscriber; if a bridge forwards face_app/#, it must also carry receipts/# back"
