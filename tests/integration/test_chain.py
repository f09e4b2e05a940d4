"""A clip in, the exact set of objects out: three Mosquittos, SeaweedFS, s3fs and both programs as processes."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.common.metadata import read_image
from support.chain import EDGE, Broker, Chain, chain
from support.clips import face_clip, photo
from support.seaweedfs import seaweedfs

CLIPS = Path(__file__).parents[2] / ".cache/media"

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        os.geteuid() != 0 or not Path("/dev/fuse").exists(), reason="mounts a bucket: needs root and /dev/fuse"
    ),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with seaweedfs() as server, chain(tmp_path_factory.mktemp("chain"), server, "face-app") as both_ends:
        yield both_ends


def test_the_faces_of_real_clips_are_exactly_the_objects(running):
    summary = running.capture(CLIPS / "clips")
    assert summary["frames"] == 472 + 72 + 105
    assert summary["captured"] >= 4, "one person, one person, two people"
    assert (summary["stored"], summary["waiting"], summary["refused"]) == (summary["captured"], 0, 0)
    assert running.keys() == {face["key"] for face in summary["faces"]}

    objects = S3Bucket(running.store)
    for face in summary["faces"]:
        data = objects.get(face["key"])
        assert data is not None
        assert hashlib.sha256(data).hexdigest() == face["sha256"]
        image = read_image(data, max_pixels=10_000_000)
        metadata = image.metadata
        assert metadata is not None
        assert (str(image.face_id), metadata.edge, metadata.detector) == (face["id"], EDGE, "yunet")


def test_a_clip_without_a_face_adds_nothing(running):
    before = running.keys()
    summary = running.capture(CLIPS / "no-face.mp4")
    assert (summary["frames"] > 90, summary["captured"]) == (True, 0)
    assert running.keys() == before


@pytest.mark.parametrize(
    "end", [pytest.param(Broker.stop, id="stopped", marks=pytest.mark.full), pytest.param(Broker.kill, id="killed")]
)
@pytest.mark.parametrize("broker", ["cloud", "forwarder", "edge"])
def test_faces_of_an_outage_come_afterwards_each_once(running, broker, end, tmp_path):
    source = photo(tmp_path / "photo.png", faces=3)
    before = running.keys()
    end(running.brokers[broker])
    summary = running.capture(source, "--loop", "--stop-after", "20", wait=0)
    assert (summary["captured"], summary["stored"], summary["waiting"]) == (20, 0, 20)
    assert running.keys() == before
    running.brokers[broker].start()
    running.send()
    assert len(running.keys() - before) == 20
    assert running.stored() == running.committed()


@pytest.mark.parametrize(
    "broker", ["forwarder", *(pytest.param(broker, marks=pytest.mark.full) for broker in ("cloud", "edge"))]
)
def test_a_broker_killed_while_faces_pass_it_loses_none(running, broker, tmp_path):
    clip = face_clip(tmp_path / "clip.avi", seconds=1)  # each round is a visit
    before = running.committed()
    with running.capturing(clip, "--loop", "--stop-after", "60") as capture:
        while len(running.committed()) < len(before) + 10:
            assert capture.poll() is None
            time.sleep(0.02)
        running.brokers[broker].kill()
        running.brokers[broker].start()
        assert capture.wait(120) in {0, 7}
    running.send()
    assert len(running.committed()) == len(before) + 60
    assert running.stored() == running.committed()
