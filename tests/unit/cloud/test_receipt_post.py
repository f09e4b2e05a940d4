"""A receipt is sent when the broker says so, and not before."""

import signal
import threading
import time
from contextlib import ExitStack
from datetime import datetime, timezone

from prometheus_client import Counter

from face_app.cloud.receipt_post import ReceiptPost
from face_app.mqtt import Connection
from face_app.settings import Broker
from face_app.wire import FaceId, Receipt
from services.mosquitto import mosquitto
from services.ports import free_port

RECEIPT = Receipt(FaceId("0badcafe", 1), "0" * 64, "key", datetime.now(timezone.utc), "stored")


def wait_until(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_link_lost_before_the_answer_is_no_answer(tmp_path):
    port, post, results = free_port(), ReceiptPost("s1", Counter("refused", "Refused.", registry=None)), []
    connection = Connection(
        Broker(host="127.0.0.1", port=port, keepalive=5),
        "subscriber-s1",
        subscriptions=["nothing"],
        on_message=lambda *_: None,
        on_sent=post.answered,
        on_state=lambda _: post.link_changed(),
    )
    with ExitStack() as brokers:
        broker = brokers.enter_context(mosquitto(port=port, folder=tmp_path))
        connection.start()
        assert connection.wait(10)
        assert post.send(connection, "jetson", RECEIPT)
        broker.process.send_signal(signal.SIGSTOP)
        sender = threading.Thread(target=lambda: results.append(post.send(connection, "jetson", RECEIPT)))
        sender.start()
        sender.join(0.5)
        assert sender.is_alive()
        broker.process.kill()
        sender.join(5)
        assert results == [False]
        assert not post.send(connection, "jetson", RECEIPT)
        brokers.close()
        brokers.enter_context(mosquitto(port=port, folder=tmp_path))
        wait_until(lambda: connection.connected)
        assert post.send(connection, "jetson", RECEIPT)
        wait_until(lambda: not post._abandoned)  # paho sends the lost one again, and nobody waits for its answer
        assert post._answers == {}
        connection.stop()
