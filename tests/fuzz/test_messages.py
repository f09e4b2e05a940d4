"""Any message has one decision, and its bytes are stored under the key of that decision alone."""

import hashlib
import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from face_app.cloud.stores.directory import DirectoryStore
from face_app.common.errors import MessageError
from face_app.common.metadata import write_metadata
from face_app.common.wire import SEED_TOPIC, FaceId, FaceTopic
from fuzz.invariants import validated
from fuzz.mutate import mutated
from fuzz.seeds import FACE, corpus, with_comment
from support.faces import picture

SEEDS = corpus()

seeds = st.integers(0, 2**32)
levels = st.sampled_from(
    ["jetson", "door", "..", ".", "", "a\x00b", "%2e%2e", "\ud800", "\u202e", "\uff41", "x" * 70, "+", "#"]
)
topics = (
    st.just(FACE.topic)
    | st.just(SEED_TOPIC)
    | st.lists(levels, max_size=5).map(lambda names: "/".join(["face_app", *names]))
    | st.text(max_size=60)
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda each: st.lists(each, max_size=5) | st.dictionaries(st.text(max_size=9), each, max_size=4),
    max_leaves=8,
)


@given(seeds, topics)
def test_mutated_messages(seed, topic):
    random = Random(seed)
    validated(topic, mutated(random.choice(SEEDS), random.choice(SEEDS), random))


@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n"]))
def test_arbitrary_bytes(payload, start):
    validated(FACE.topic, start + payload)


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_validates_each_seed(number):
    validated(FACE.topic, SEEDS[number])
    validated(SEED_TOPIC, SEEDS[number])


@given(st.dictionaries(st.sampled_from(sorted(FACE.metadata.document(FACE.id))), values, max_size=3))
def test_stories_of_any_kind(changes):
    decision = validated(FACE.topic, with_comment(json.dumps({**FACE.metadata.document(FACE.id), **changes})))
    assert decision.refused in {"", "bad-metadata", "unknown-schema"}


@given(topics)
def test_topics_name_two_plain_levels_or_nothing(topic):
    try:
        place = FaceTopic.parse(topic)
    except MessageError as error:
        assert str(error).isprintable()
    else:
        assert str(place) == topic
        assert not {place.edge, place.camera} & {"", ".", ".."}


@given(st.text(max_size=40))
def test_ids_read_back_or_are_refused(text):
    try:
        assert str(FaceId.parse(text)) == text
    except MessageError as error:
        assert str(error).isprintable()


def test_writes_only_the_object_of_the_decision(tmp_path):
    root = tmp_path / "store"
    root.mkdir()
    (tmp_path / "beside").write_text("untouched")
    store, random, expected = DirectoryStore(root), Random(3), {}
    names = [FACE.topic, SEED_TOPIC, "face_app/../door", "face_app/jetson/..", "face_app/jetson/door/../../../x"]
    messages = [(FACE.topic, FACE.payload), (SEED_TOPIC, picture("PNG", 16))]
    for _ in range(200):
        payload = mutated(random.choice(SEEDS), random.choice(SEEDS), random)
        messages.append((random.choice(names), payload))
    for topic, payload in messages:
        decision = validated(topic, payload)
        store.put(decision.key, payload, hashlib.sha256(payload).hexdigest())
        expected[decision.key] = payload
    found = {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}
    assert found == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beside", "store"]
    assert not any(path.is_symlink() for path in root.rglob("*"))
    tops = {path.name for path in root.iterdir()}
    assert tops == {".incoming", "jetson", "test", "quarantine"}


@pytest.mark.parametrize("key", ["../x", "/x", "a/../../x", "a//b", ".incoming/x", "a/b\x00", "a/\ud800", "a/b\n", ""])
def test_a_store_takes_no_other_key(tmp_path, key):
    root = tmp_path / "store"
    root.mkdir()
    with pytest.raises(MessageError):
        DirectoryStore(root).put(key, b"x", hashlib.sha256(b"x").hexdigest())
    assert [path.name for path in tmp_path.rglob("*")] == ["store"]


def test_the_same_face_with_other_words_beside_it_is_another_object():
    other = write_metadata(picture("JPEG", 16), FACE.id, FACE.metadata)
    assert validated(FACE.topic, FACE.payload).key != validated(FACE.topic, other).key
