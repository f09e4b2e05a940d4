"""Counters with labels exist before their first count, with the labels that the code uses."""

import re

from prometheus_client import REGISTRY

from face_app.common.errors import REFUSALS
from face_app.edge.outbox import schema
from face_app.edge.outbox.pruning import REFUSED
from face_app.edge.outbox.quota import _EVICTION_ORDER
from face_app.edge.vision.best_shot import NO_DETAIL, NO_FACE


def labels(counter: str, label: str = "reason") -> set[str]:
    # Not the others: a gauge may read an outbox that an earlier test has closed.
    (family,) = REGISTRY.restricted_registry([f"{counter}_total"]).collect()
    return {sample.labels[label] for sample in family.samples}


def test_idle_counters_have_their_labels():
    assert labels("face_app_capture_dismissed_visits") >= {NO_DETAIL, NO_FACE}
    assert labels("face_app_outbox_expired") >= {REFUSED, "damaged", *_EVICTION_ORDER}
    assert labels("face_app_sender_refused") >= set(REFUSALS)
    assert labels("face_app_sender_rejected") >= {"Packet too large"}
    states = re.search(r"state IN \(([^)]*)\)", str(vars(schema)))
    assert states
    assert labels("face_app_outbox_rescued", "state") == set(re.findall(r"\w+", states[1]))
