"""The obstacle names the first part of the uplink that fails, and where its cause is logged."""

from dataclasses import replace

import pytest

from face_app.edge.uplink.sender_state import SenderState

UP = {"forwarder": True, "cloud": True}
WORKING = SenderState(
    broker="edge:1883",
    running=100.0,
    elected=True,
    connected=True,
    hops=UP,
    reported=True,
    up=True,
    quiet=0.0,
    window=16,
    aside=0,
    aside_reason="",
    problem="",
    refused=False,
    failure="",
)


@pytest.mark.parametrize(
    ("changes", "obstacle"),
    [
        ({}, "they are in flight"),
        ({"failure": "no locks", "elected": False}, "no locks"),
        ({"elected": False, "problem": "x"}, "another process sends for this outbox, check its log"),
        ({"problem": "broker edge:1883 is lost", "up": False}, "broker edge:1883 is lost"),
        (
            {"up": False, "hops": {"forwarder": True, "cloud": False}},
            "the forwarder does not reach the cloud, its log names the cause: docker logs forwarder",
        ),
        (
            {"up": False, "hops": {"forwarder": False, "cloud": False}},
            "the forwarder does not reach broker edge:1883, its log names the cause: docker logs forwarder",
        ),
        (
            {"up": False, "hops": {"forwarder": False, "cloud": False}, "reported": False},
            "no forwarder reports its hops to broker edge:1883: start it, or set sender.link to direct if the "
            "bridge of another product forwards the faces",
        ),
        ({"quiet": 12.0}, "no receipt came for 12 s, check the subscriber"),
        (
            {"quiet": 12.0, "hops": {}},
            "no receipt came for 12 s, check the subscriber; if a bridge forwards face_app/#, it must also carry "
            "receipts/# back",
        ),
        ({"aside": 1, "aside_reason": "one is too large"}, "one is too large"),
    ],
)
def test_obstacle(changes, obstacle):
    assert replace(WORKING, **changes).obstacle == obstacle
