"""One edge that invents cameras hides those of no other edge."""

import json
import time

import pytest

from face_app.cloud.gallery import edge_states
from face_app.cloud.gallery.edge_states import MOST_CAMERAS, EdgeStates

ONLINE = json.dumps({"state": "online"}).encode()


def shown(states):
    return [(state.edge, state.camera) for state in states.states()]


def test_an_edge_with_too_many_cameras_hides_those_of_no_other():
    states = EdgeStates()
    for number in range(5_000):
        states.received(f"status/hostile/camera-{number}", ONLINE, retained=number % 2 == 0)
    assert states.received("status/jetson/door", ONLINE, retained=False)
    assert len(shown(states)) == MOST_CAMERAS + 1
    assert states.with_too_many == ["hostile"]
    assert states.received("status/hostile/camera-0", ONLINE, retained=False), "it is known"
    assert not states.received("status/hostile/another", ONLINE, retained=False)


def test_a_new_camera_replaces_the_one_that_was_silent_for_the_longest_time(monkeypatch):
    states = EdgeStates()
    for number in range(MOST_CAMERAS):
        states.received(f"status/jetson/camera-{number}", ONLINE, retained=False)
    later = time.monotonic() + edge_states.SILENT_SECONDS + 1
    monkeypatch.setattr(edge_states.time, "monotonic", lambda: later)
    assert states.received("status/jetson/camera-0", ONLINE, retained=False)
    assert states.received("status/jetson/new", ONLINE, retained=False)
    places = shown(states)
    assert len(places) == MOST_CAMERAS
    assert ("jetson", "new") in places
    assert ("jetson", "camera-0") in places
    assert ("jetson", "camera-1") not in places
    assert states.with_too_many == []


def test_a_page_names_the_edge(world):
    gallery = world.open()
    for number in range(MOST_CAMERAS + 1):
        gallery.states.received(f"status/hostile/camera-{number}", ONLINE, retained=False)
    page = world.client(gallery).get("/edges").text
    assert f"1 edges with more than {MOST_CAMERAS} cameras: hostile. The states of the others are not shown." in page


@pytest.mark.parametrize("values", ["[]," * 5_000 + "[]", "{}," * 3_000 + "{}", "0," * 7_000 + "0"])
def test_a_state_of_many_values_is_none(values):
    assert not EdgeStates().received("status/hostile/door", f'{{"facts": [{values}]}}'.encode(), retained=False)
