"""What may be erased: keys, or a range that is not wider than was meant."""

from datetime import timedelta

import pytest

from face_app.cloud.erasure.request import requested_erasure, requested_range
from face_app.common.errors import SettingsError
from support.faces import TAKEN, drawn_face

KEY = drawn_face().key
LATER = (TAKEN + timedelta(seconds=2)).isoformat()


def asked(keys=(), *, all_edges=False, **limits):
    given = {name.rstrip("_"): value for name, value in limits.items()}
    return requested_erasure(list(keys), given, all_edges=all_edges, now=TAKEN)


def test_keys_are_selected_each_once():
    assert [each.key for each in asked([KEY, KEY])] == [KEY]


def test_a_range_ends_now_if_it_has_no_end():
    (selection,) = asked(edge="jetson")
    assert selection.until == TAKEN.replace(microsecond=0)
    assert selection.since is None


def test_all_edges_are_covered_on_request():
    (selection,) = asked(all_edges=True, from_="2026-11-22", to="2026-11-22T18:00")
    assert selection.edge == ""
    assert asked(all_edges=True, visit="0badcafe-12345678-3")
    assert asked(visit="jetson/0badcafe-12345678-3")[0].edge == "jetson"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "select faces"),
        ({"keys": [KEY], "edge": "jetson"}, "not both"),
        ({"keys": [KEY], "all_edges": True}, "not both"),
        ({"keys": [KEY, "../secret"]}, "not the key of a face"),
        ({"from_": "2026-11-22"}, "--edge is missing"),
        ({"camera": "door"}, "--edge is missing"),
        ({"visit": "0badcafe-12345678-3"}, "--edge is missing"),
        ({"all_edges": True, "camera": "door"}, "needs --from and --to"),
        ({"all_edges": True, "from_": "2026-11-22"}, "needs --from and --to"),
        ({"all_edges": True, "edge": "jetson"}, "exclude each other"),
        ({"edge": "jetson", "to": LATER}, "in the future"),
        ({"edge": "jetson", "from_": LATER}, "is not before"),
        ({"edge": "jetson/../nano"}, "not a valid name"),
    ],
)
def test_a_wider_or_wrong_request_is_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        asked(**values)


def test_an_export_has_a_range_too():
    assert requested_range({"edge": "jetson"}).edge == "jetson"
    with pytest.raises(SettingsError, match="--edge is missing"):
        requested_range({"camera": "door"})
