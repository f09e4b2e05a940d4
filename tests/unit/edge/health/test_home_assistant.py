"""The announcement has the format of Home Assistant, and its templates read the published status."""

import json

import jinja2
import pytest

from face_app.common.errors import SettingsError
from face_app.common.settings import EdgeSettings, load
from face_app.edge.health.home_assistant import announcement

STATE = "status/jetson/door"
ONLINE = {"state": "online", "problem": "", "faces": 3, "last_face": "2026-11-22T17:30:00+00:00", "waiting": 1}
LOST = {"state": "offline", "problem": "gone"}


def announced(**changes):
    topic, document = announcement(EdgeSettings(edge="jetson", camera={"name": "door"}, **changes))
    return topic, json.loads(document)


def test_one_device_with_everything_it_must_have():
    topic, document = announced()
    assert topic == "homeassistant/device/face_app-jetson/door/config"
    assert document["device"]["identifiers"] == ["face_app/jetson/door"]
    assert document["device"]["name"] == "jetson door"
    assert document["origin"]["name"] == "face-app"
    assert document["state_topic"] == document["availability_topic"] == STATE
    components = document["components"]
    assert {name: each["platform"] for name, each in components.items()} == {
        "running": "binary_sensor",
        "problem": "binary_sensor",
        "faces": "sensor",
        "last_face": "sensor",
        "waiting": "sensor",
        "picture": "image",
    }
    assert len({each["unique_id"] for each in components.values()}) == len(components)
    assert all(each["name"] for each in components.values())
    assert (components["faces"]["state_class"], components["last_face"]["device_class"]) == (
        "total_increasing",
        "timestamp",
    )


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_the_picture_is_the_message_of_a_face(encoding):
    picture = announced(crop={"format": encoding})[1]["components"]["picture"]
    assert (picture["image_topic"], picture["content_type"]) == ("face_app/jetson/door", f"image/{encoding}")


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (ONLINE, {"running": "ON", "problem": "OFF", "faces": "3", "last_face": ONLINE["last_face"], "waiting": "1"}),
        (LOST, {"running": "OFF", "problem": "ON", "faces": "None", "last_face": "None", "waiting": "None"}),
        ({**ONLINE, "last_face": None}, {"last_face": "None"}),
        ({**ONLINE, "problem": "no frame"}, {"problem": "ON", "running": "ON"}),
    ],
)
def test_templates_read_states_with_and_without_metrics(state, shown):
    document = announced()[1]

    def rendered(template):
        # Home Assistant warns of each name that is not there.
        return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(template).render(value_json=state)

    components = document["components"]
    assert {name: rendered(components[name]["value_template"]) for name in shown} == shown
    assert rendered(document["availability_template"]) == state["state"]
    assert rendered(components["running"]["availability_template"]) == "online"
    for name in ("running", "problem"):
        assert json.loads(rendered(components[name]["json_attributes_template"])) == {"problem": state["problem"]}


def test_another_prefix_is_a_topic_and_nothing_to_show_is_refused():
    prefixed = {"home_assistant": True, "home_assistant_prefix": "home/ha"}
    assert announced(status=prefixed)[0] == "home/ha/device/face_app-jetson/door/config"
    for wrong in ({"status.home_assistant_prefix": "ha/#"}, {"status.home_assistant_prefix": "/ha"}):
        with pytest.raises(SettingsError, match=r"^status\.home_assistant_prefix"):
            load(EdgeSettings, None, wrong)
    with pytest.raises(SettingsError, match="status: home_assistant needs publish"):
        load(EdgeSettings, None, {"status.home_assistant": True, "status.publish": False})
