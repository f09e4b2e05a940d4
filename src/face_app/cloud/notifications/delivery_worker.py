"""Deliver the waiting messages to one service, in a thread of its own: a service that hangs delays no other."""

import logging
import threading
from collections.abc import Callable

from face_app.cloud.notifications.deliveries import Deliveries, Delivery
from face_app.cloud.notifications.file_retry import FileRetry
from face_app.cloud.notifications.notification_file import now_ms
from face_app.cloud.notifications.notification_metrics import Result
from face_app.cloud.notifications.send_message import Attachment, Sender
from face_app.cloud.notifications.services import Service
from face_app.common.errors import StoreError
from face_app.common.log import RateLimitedLog

log = logging.getLogger(__name__)
rare_log = RateLimitedLog(log)

CHECK_SECONDS = 5.0
"""Maximum seconds until a worker compares the clock again."""
STOP_SECONDS = 2.0
"""Seconds that a message may take when the program stops; after that it counts as interrupted."""


class DeliveryWorker:
    """Takes messages for one service and sends them.

    Attributes:
        abandoned: Number of messages since the start that were given up, or whose arrival is unknown.
    """

    def __init__(
        self,
        service: Service,
        deliveries: Deliveries,
        fetch: Callable[[str], bytes | None],
        *,
        give_up_ms: float,
        sender: Sender | None = None,
    ) -> None:
        """Prepare the thread; `start` starts it.

        Args:
            service: The service.
            deliveries: The waiting messages.
            fetch: Returns the bytes of an object; None if it was deleted.
            give_up_ms: Maximum age of a message, milliseconds.
            sender: Sends to the service.
        """
        self.service = service
        self.abandoned = 0
        self._service_problem = ""
        """Why the latest attempt to deliver failed, with who caused it; empty after a success."""
        self._deliveries = deliveries
        self._fetch = fetch
        self._give_up_ms = give_up_ms
        self._sender = sender or Sender(service)
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._file = FileRetry(service.label, "the file of notifications cannot be used", self._stopped)
        self._thread = threading.Thread(target=self._run, name=f"deliver-{service.id[:4]}", daemon=True)

    @property
    def problem(self) -> str:
        """Return why messages do not arrive, with who caused it; empty if the latest attempt succeeded."""
        return self._file.problem or self._service_problem

    def start(self) -> None:
        """Start to deliver."""
        self._thread.start()

    def wake(self) -> None:
        """Wake the thread, because messages wait."""
        self._wake.set()

    def stop(self) -> None:
        """Stop after the message that is being sent, if it is sent soon."""
        self._stopped.set()
        self._wake.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                delivery = self._file.run(lambda: self._deliveries.take(self.service.id))
                if delivery:
                    self._deliver(delivery)
                else:
                    self._wait()
        except Exception as error:  # a defect here must not end the gallery
            if not self._stopped.is_set() and not self._file.problem:
                self._service_problem = f"{self.service.label} gets no message: {error}; restart the gallery"
                log.exception("notifications: %s", self._service_problem)

    def _wait(self) -> None:
        due = self._file.run(lambda: self._deliveries.next_due_ms(self.service.id))
        seconds = CHECK_SECONDS if due is None else max(0.0, (due - now_ms()) / 1000)
        self._wake.wait(min(seconds, CHECK_SECONDS))
        self._wake.clear()

    def _deliver(self, delivery: Delivery) -> None:
        picture = None
        if delivery.message.picture:
            try:
                data = self._fetch(delivery.message.picture)
            except StoreError:
                self._failed(delivery, f"the bucket does not answer, so {self.service.label} gets no picture")
                return
            if data is None:  # erased meanwhile: its message must not appear either
                self._done(delivery, "gone")
                return
            picture = Attachment(delivery.message.picture.rpartition("/")[2], data)
        failure = self._sender.send(delivery.message, picture)
        if failure is None:
            self._accepted(delivery)
        elif failure.may_have_arrived:
            self._give_up(delivery, self._refusal(failure.cause), "unanswered")
        else:
            self._failed(delivery, self._refusal(failure.cause))

    def _refusal(self, cause: str) -> str:
        return f"{self.service.label} accepts none: {cause}"

    def _accepted(self, delivery: Delivery) -> None:
        if self._service_problem:
            log.info("messages reach %s again", self.service.label)
        self._service_problem = ""
        self._done(delivery, "sent")

    def _failed(self, delivery: Delivery, problem: str) -> None:
        if now_ms() - delivery.made_ms >= self._give_up_ms:
            self._give_up(delivery, problem, "given_up")
            return
        rare_log.warning(f"{problem}; trying again")
        self._service_problem = problem
        self._file.run(lambda: self._deliveries.retry_later(self.service.id, delivery))

    def _give_up(self, delivery: Delivery, problem: str, result: Result) -> None:
        log.warning("the message %r is given up: %s", delivery.message.title, problem)
        self._service_problem = problem
        self.abandoned += 1
        self._done(delivery, result)

    def _done(self, delivery: Delivery, result: Result) -> None:
        """Record a result, however long the file fails: without it, the next start counts an interrupted message."""
        self._file.run(lambda: self._deliveries.done(self.service.id, delivery, result))
