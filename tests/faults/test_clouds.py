"""Several cloud hosts: any broker with any living subscriber is enough, and a face is stored once."""

import os

import pytest

from faults.clouds import ACTS, clouds, run
from support.waiting import until

cuts = pytest.mark.skipif(os.geteuid() != 0, reason="drops packets: needs root")


def test_faces_pass_each_broker_while_the_other_hosts_are_dead(tmp_path):
    with clouds(tmp_path) as site:
        first, second, third = site.hosts

        def store(count: int) -> None:
            for edge in site.edges:
                edge.commit(count)
            site.wait()

        store(5)
        first.kill()
        store(5)
        second.kill()
        store(5)
        assert {site.connected_to(edge) for edge in site.edges} == {third.address(edge.client) for edge in site.edges}
        first.start()
        until(lambda: "connected to broker 127.77.2." in first.subscriber.log.read_text())
        third.kill()
        store(5)
        assert {site.connected_to(edge) for edge in site.edges} == {first.address(edge.client) for edge in site.edges}
        assert len(site.faces()) == 2 * 20
        assert site.lost_and_duplicated() == (0, 0)


@cuts
@pytest.mark.root
@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("act", ACTS)
def test_stores_every_face_once_while_each_host_fails_in_turn(act, tmp_path):
    result = run(tmp_path, act, seconds=120, period=20)
    assert (result.lost, result.duplicated) == (0, 0)
    assert result.faces > 500
    assert result.faults >= 6
