"""Connect to the brokers of several cloud hosts, so that one that is down disturbs no other."""

import threading
import time
from collections.abc import Sequence

from face_app.common.mqtt.connection import Connection

STOP_SECONDS = 2.0
"""Maximum seconds that a stop waits. The thread of a connection to a host that does not answer ends after five."""


class Connections:
    """Opens and closes one connection to each broker."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        """Take connections that are not started; there is at least one."""
        self._connections = tuple(connections)

    @property
    def problems(self) -> list[str]:
        """Return the problem of each broker from which no message can arrive."""
        return [problem for connection in self._connections if (problem := connection.problem)]

    @property
    def problem(self) -> str:
        """Return why no message can arrive from any broker; empty while one can from at least one."""
        problems = self.problems
        return "; ".join(problems) if len(problems) == len(self._connections) else ""

    @property
    def connected(self) -> bool:
        """Return True while at least one connection is open."""
        return any(connection.connected for connection in self._connections)

    @property
    def subscribed(self) -> bool:
        """Return True while at least one broker has granted every subscription."""
        return any(connection.subscribed for connection in self._connections)

    def start(self) -> None:
        """Connect in threads; each reconnects after a loss."""
        for connection in self._connections:
            connection.start()

    def stop(self) -> None:
        """Disconnect from all brokers at once."""
        threads = [threading.Thread(target=connection.stop, daemon=True) for connection in self._connections]
        deadline = time.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def raise_refusal(self) -> None:
        """Raise the error of the first broker, if all refuse this program permanently.

        Raises:
            BrokerError: No broker accepts the connection.
        """
        if all(connection.refused for connection in self._connections):
            self._connections[0].wait_for_outcome(0)
