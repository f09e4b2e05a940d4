"""Request topic filters until the broker grants them."""

import logging
import threading
from collections.abc import Callable, Iterable

from paho.mqtt.reasoncodes import ReasonCode

log = logging.getLogger(__name__)

RETRY_SECONDS = 10.0
"""Seconds until a refused or unanswered subscription is requested again."""


class Subscription:
    """Requests the topic filters of one connection until the broker grants them. Thread-safe.

    A broker can refuse or ignore a SUBSCRIBE on a live connection. Then no message
    arrives, and nothing else shows the fault.

    Attributes:
        granted: True while the broker has granted all filters on the current connection.
    """

    def __init__(self, topics: list[str], where: str, subscribe: Callable[[list[str]], None]) -> None:
        """Prepare the subscription; `request` sends the first SUBSCRIBE.

        Args:
            topics: Topic filters.
            where: Host and port of the broker, for the log.
            subscribe: Sends one SUBSCRIBE for these topics; must not wait for the answer.
        """
        self.granted = False
        self._topics = topics
        self._names = [_without_group(topic) for topic in topics]
        self._where = where
        self._subscribe = subscribe
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._refused = ""
        self._logged = ""

    @property
    def problem(self) -> str:
        """Return the reason why no message arrives on a live connection; empty while granted."""
        if self.granted:
            return ""
        return self._refused or f"broker {self._where} has not answered the subscription to {', '.join(self._names)}"

    def request(self) -> None:
        """Send a SUBSCRIBE on a new connection."""
        with self._lock:
            self._refused = ""
            if self._topics:
                self._send()
            else:
                self.granted = True

    def answered(self, reasons: Iterable[ReasonCode]) -> None:
        """Handle the SUBACK: one reason for each topic."""
        refusals = [
            f"{topic} ({reason})" for topic, reason in zip(self._names, reasons, strict=False) if reason.is_failure
        ]
        with self._lock:
            if refusals:
                self._refused = f"broker {self._where} refuses the subscription to {', '.join(refusals)}; check its ACL"
                self._log_problem()
                return
            self._drop_timer()
            self.granted = True
            if self._logged:
                log.info("broker %s granted the subscription", self._where)
            self._logged = ""

    def cancel(self) -> None:
        """Stop requesting: the connection is lost."""
        with self._lock:
            self.granted = False
            self._drop_timer()

    def _send(self) -> None:
        self._drop_timer()
        self._timer = timer = threading.Timer(RETRY_SECONDS, lambda: self._retry(timer))
        timer.daemon = True
        timer.start()
        self._subscribe(self._topics)

    def _retry(self, timer: threading.Timer) -> None:
        with self._lock:
            if timer is self._timer:
                self._log_problem()
                self._send()

    def _drop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _log_problem(self) -> None:
        if self.problem != self._logged:
            self._logged = self.problem
            log.error("%s; requesting it again", self._logged)


def _without_group(topic: str) -> str:
    """Return a topic filter for messages: the name of a shared subscription's group is a secret."""
    return topic.split("/", 2)[2] if topic.startswith("$share/") else topic
