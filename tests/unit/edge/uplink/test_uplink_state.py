"""Checks that the uplink is up only while every hop is."""

from face_app.common.wire import hop_topics
from face_app.edge.uplink.uplink_state import Uplink

FORWARDER, CLOUD = hop_topics("jetson")


def test_a_direct_uplink_is_up_with_the_connection():
    uplink = Uplink("jetson", bridged=False)
    assert uplink.topics == ()
    assert uplink.up_since is None
    uplink.connection_changed(3, connected=True)
    assert uplink.up_since == 3
    uplink.connection_changed(4, connected=False)
    assert uplink.up_since is None


def test_a_bridged_uplink_needs_both_hops():
    uplink = Uplink("jetson", bridged=True)
    uplink.connection_changed(1, connected=True)
    uplink.hop_changed(CLOUD, b"1", 2)
    assert uplink.up_since is None
    uplink.hop_changed(FORWARDER, b"1", 3)
    assert uplink.up_since == 3
    uplink.hop_changed(FORWARDER, b"1", 4)
    assert uplink.up_since == 3
    uplink.hop_changed(CLOUD, b"0", 5)
    assert uplink.up_since is None


def test_a_reconnect_resets_the_hops_until_they_are_reported_again():
    uplink = Uplink("jetson", bridged=True)
    uplink.connection_changed(1, connected=True)
    for topic in (FORWARDER, CLOUD):
        uplink.hop_changed(topic, b"1", 2)
    uplink.connection_changed(3, connected=False)
    uplink.connection_changed(4, connected=True)
    assert uplink.up_since is None
    for topic in (FORWARDER, CLOUD):
        uplink.hop_changed(topic, b"1", 5)
    assert uplink.up_since == 5


def test_a_receipt_overrides_an_outdated_hop_report():
    uplink = Uplink("jetson", bridged=True)
    uplink.receipt_arrived(1)
    assert uplink.up_since is None
    uplink.connection_changed(2, connected=True)
    uplink.hop_changed(FORWARDER, b"1", 3)
    uplink.hop_changed(CLOUD, b"0", 3)
    uplink.receipt_arrived(4)
    assert uplink.up_since == 4
    uplink.hop_changed(CLOUD, b"0", 5)
    assert uplink.up_since is None
