"""How receipts go out: published, and waited for until the broker has them."""

import logging
import threading

from paho.mqtt.reasoncodes import ReasonCode
from prometheus_client import Counter

from face_app.mqtt import Connection
from face_app.wire import Receipt, dump_receipts, receipts_topic

log = logging.getLogger(__name__)

RETRY_PAUSE = 1.0


class ReceiptPost:
    """Matches the broker's answers to the receipts that were sent. Safe to use from several threads.

    The answer may come before `publish` has even returned the message id, and it comes under a lock of paho's, so
    no lock of ours is held around a publish.
    """

    def __init__(self, subscriber: str, refused: Counter) -> None:
        """Send under the name of this subscriber; count what the broker does not take."""
        self._subscriber = subscriber
        self._refused = refused
        self._changed = threading.Condition()
        self._answers: dict[int, ReasonCode] = {}
        self._abandoned: set[int] = set()
        self.problem = ""

    def send(self, connection: Connection, edge: str, receipt: Receipt) -> bool:
        """Send one receipt and wait for the broker's answer.

        Returns:
            False when the link was lost before an answer: the message is not to be acknowledged, so that it comes
            again. A receipt that the broker does not want counts as answered, for no waiting would change that
            and the edge asks again by sending the face again.
        """
        topic = receipts_topic(edge, self._subscriber)
        epoch = connection.epoch

        def lost() -> bool:
            return connection.epoch != epoch or not connection.connected

        while (mid := connection.publish(topic, dump_receipts([receipt]))) is None:
            with self._changed:
                if self._changed.wait_for(lost, RETRY_PAUSE):
                    return False
        with self._changed:
            self._changed.wait_for(lambda: mid in self._answers or lost())
            answer = self._answers.pop(mid, None)
            if answer is None:
                self._abandoned.add(mid)
                return False
        self._judge(topic, answer)
        return True

    def answered(self, mid: int, answer: ReasonCode) -> None:
        """Take the broker's answer; for `Connection.on_sent`."""
        with self._changed:
            if mid in self._abandoned:
                self._abandoned.discard(mid)
            else:
                self._answers[mid] = answer
                self._changed.notify_all()

    def link_changed(self) -> None:
        """Let those who wait look at the link; for `Connection.on_state`."""
        with self._changed:
            self._changed.notify_all()

    def _judge(self, topic: str, answer: ReasonCode) -> None:
        problem = f"the broker does not take receipts on {topic} ({answer}); check its ACL" if answer.is_failure else ""
        if problem:
            self._refused.inc()
        if problem and not self.problem:
            log.error(problem)
        self.problem = problem
