"""What a connection wants from its broker, asked for until the broker grants it."""

import logging
import threading
from collections.abc import Callable, Iterable

from paho.mqtt.reasoncodes import ReasonCode

log = logging.getLogger(__name__)

AGAIN_SECONDS = 10.0
"""Until a subscription that was refused, or has no answer, is asked for again."""


class Subscription:
    """Topic filters of one connection. Safe to use from several threads.

    A broker may refuse them, or never answer, on a connection that stands: then nothing comes, and nothing else tells.

    Attributes:
        granted: Whether the broker has granted all of them on the present connection.
    """

    def __init__(self, topics: list[str], where: str, ask: Callable[[list[str]], None]) -> None:
        """Get ready; `begin` asks.

        Args:
            topics: Topic filters.
            where: The broker in words.
            ask: Sends one SUBSCRIBE for these topics; must not wait for an answer.
        """
        self.granted = False
        self._topics = topics
        self._where = where
        self._ask = ask
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._refused = ""
        self._told = ""

    @property
    def problem(self) -> str:
        """Why nothing can come on a connection that stands; empty when the broker has granted everything."""
        if self.granted:
            return ""
        return self._refused or f"broker {self._where} has not answered the subscription to {', '.join(self._topics)}"

    def begin(self) -> None:
        """Ask, on a new connection."""
        with self._lock:
            self._refused = ""
            if self._topics:
                self._send()
            else:
                self.granted = True

    def answered(self, reasons: Iterable[ReasonCode]) -> None:
        """Take the broker's answer: one reason for each topic."""
        refusals = [
            f"{topic} ({reason})" for topic, reason in zip(self._topics, reasons, strict=False) if reason.is_failure
        ]
        with self._lock:
            if refusals:
                self._refused = f"broker {self._where} refuses the subscription to {', '.join(refusals)}; check its ACL"
                self._tell()
                return
            self._drop_timer()
            self.granted = True
            if self._told:
                log.info("broker %s grants the subscription now", self._where)
            self._told = ""

    def end(self) -> None:
        """Ask no more: the connection is gone."""
        with self._lock:
            self.granted = False
            self._drop_timer()

    def _send(self) -> None:
        self._drop_timer()
        self._timer = timer = threading.Timer(AGAIN_SECONDS, lambda: self._again(timer))
        timer.daemon = True
        timer.start()
        self._ask(self._topics)

    def _again(self, timer: threading.Timer) -> None:
        with self._lock:
            if timer is self._timer:
                self._tell()
                self._send()

    def _drop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _tell(self) -> None:
        if self.problem != self._told:
            self._told = self.problem
            log.error("%s; asking again", self._told)
