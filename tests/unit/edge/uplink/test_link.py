"""Open only when every hop is."""

from face_app.common.wire import link_topics
from face_app.edge.uplink.link import Link

FORWARDER, CLOUD = link_topics("jetson")


def test_direct_is_up_with_the_connection():
    link = Link("jetson", bridged=False)
    assert link.topics == ()
    assert link.up_since is None
    link.connection(3, connected=True)
    assert link.up_since == 3
    link.connection(4, connected=False)
    assert link.up_since is None


def test_bridged_needs_both_hops():
    link = Link("jetson", bridged=True)
    link.connection(1, connected=True)
    link.hop(CLOUD, b"1", 2)
    assert link.up_since is None
    link.hop(FORWARDER, b"1", 3)
    assert link.up_since == 3
    link.hop(FORWARDER, b"1", 4)
    assert link.up_since == 3
    link.hop(CLOUD, b"0", 5)
    assert link.up_since is None


def test_after_a_reconnect_the_hops_are_told_anew():
    link = Link("jetson", bridged=True)
    link.connection(1, connected=True)
    for topic in (FORWARDER, CLOUD):
        link.hop(topic, b"1", 2)
    link.connection(3, connected=False)
    link.connection(4, connected=True)
    assert link.up_since is None
    for topic in (FORWARDER, CLOUD):
        link.hop(topic, b"1", 5)
    assert link.up_since == 5


def test_a_receipt_outweighs_an_old_word_on_a_hop():
    link = Link("jetson", bridged=True)
    link.receipt(1)
    assert link.up_since is None
    link.connection(2, connected=True)
    link.hop(FORWARDER, b"1", 3)
    link.hop(CLOUD, b"0", 3)
    link.receipt(4)
    assert link.up_since == 4
    link.hop(CLOUD, b"0", 5)
    assert link.up_since is None
