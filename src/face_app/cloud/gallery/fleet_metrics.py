"""Export the states of all cameras as metrics, so that a Prometheus beside the gallery needs no route to the edges."""

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from face_app.cloud.gallery.edge_states import CameraState, EdgeStates

if TYPE_CHECKING:
    from face_app.cloud.gallery.gallery import Gallery

DAY = 86_400.0
"""Seconds in a day."""

_MEASURES = {
    "waiting": ("waiting", "Faces that wait in the outbox of the edge; its cameras share it."),
    "oldest_waiting": ("oldest_waiting_seconds", "Age of the oldest waiting face; 0 if none wait."),
    "aside": ("aside", "Waiting faces that do not pass, although others do."),
    "outbox_fullness": ("outbox_fullness", "Used fraction of outbox.max_bytes."),
    "frame_age": ("frame_age_seconds", "Seconds since the last frame."),
}
"""Facts of a state, and the metric of each."""

_COUNTS = {
    "frames": "Frames that were processed since the program started.",
    "faces": "Faces that were committed since the program started.",
}
"""Counts of a state; the metric of each has its name."""

_HOPS = ("forwarder", "cloud")
"""Hops of the uplink; only the process that sends for the outbox knows them."""


class FleetCollector(Collector):
    """Exports one series per camera and measurement; a measurement that is unknown has none.

    An edge chooses the content of its states. So a value is a finite number or excluded, and a text is short.
    """

    def __init__(self, states: EdgeStates) -> None:
        """Export states.

        Args:
            states: Newest state of each camera; limits the number of cameras.
        """
        self._states = states

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of all cameras."""
        states = self._states.states()
        # A silent camera may have changed since: its measurements are unknown. An offline one reports none.
        known = [state for state in states if state.condition in {"ready", "problem"}]
        yield GaugeMetricFamily("face_app_fleet_cameras", "Cameras that have reported a state.", len(states))
        yield _gauge("ready", "1 while the work gets done, 0 otherwise.", _readiness(states))
        yield _gauge("online", "1 while the last state is online, 0 otherwise.", _online(states))
        yield _gauge("state_age_seconds", "Seconds since the last state.", ((each, each.age) for each in states))
        for fact, (name, text) in _MEASURES.items():
            yield _gauge(name, text, ((each, each.document.get(fact)) for each in known))
        yield _gauge("last_stored_age_seconds", "Seconds since the last receipt of result stored.", _stored_ages(known))
        yield _gauge("certificate_days", "Days until the certificate of the edge expires.", _certificate_days(states))
        for count, text in _COUNTS.items():
            counter = CounterMetricFamily(f"face_app_fleet_{count}", text, labels=("edge", "camera"))
            for state in known:
                if (value := _number(state.document.get(count))) is not None and value >= 0:
                    counter.add_metric((state.edge, state.camera), value)
            yield counter
        yield _hops(known)
        yield _versions(known)


class GalleryCollector(Collector):
    """Exports what the gallery observes of the bucket and the broker."""

    def __init__(self, gallery: "Gallery") -> None:
        """Export the state of a gallery."""
        self._gallery = gallery

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of the gallery."""
        gallery = self._gallery
        bucket, broker = not gallery.objects.problem, not gallery.feed.problem
        yield GaugeMetricFamily("face_app_gallery_bucket_up", "1 while the bucket answers.", float(bucket))
        yield GaugeMetricFamily("face_app_gallery_broker_up", "1 while news can arrive from the broker.", float(broker))
        objects = gallery.filler.progress.last_objects
        yield GaugeMetricFamily("face_app_gallery_objects", "Objects that the last complete listing found.", objects)


def _gauge(name: str, text: str, values: Iterator[tuple[CameraState, object]]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"face_app_fleet_{name}", text, labels=("edge", "camera"))
    for state, value in values:
        if (number := _number(value)) is not None:
            gauge.add_metric((state.edge, state.camera), number)
    return gauge


def _readiness(states: list[CameraState]) -> Iterator[tuple[CameraState, float]]:
    return ((state, float(state.condition == "ready")) for state in states)


def _online(states: list[CameraState]) -> Iterator[tuple[CameraState, float]]:
    return ((state, float(state.document.get("state") == "online")) for state in states)


def _stored_ages(states: list[CameraState]) -> Iterator[tuple[CameraState, float]]:
    for state in states:
        if (age := _number(state.document.get("last_stored_age"))) is not None:
            yield state, age + state.age


def _certificate_days(states: list[CameraState]) -> Iterator[tuple[CameraState, float]]:
    """Return the remaining days; a silent camera has them too, for an expired certificate may be the cause."""
    for state in states:
        if (days := _number(state.document.get("certificate_days"))) is not None:
            yield state, days - state.age / DAY


def _hops(states: list[CameraState]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(
        "face_app_fleet_hop", "1 while a hop of the uplink is up.", labels=("edge", "camera", "hop")
    )
    for state in states:
        for hop in _HOPS if state.document.get("sender") is True else ():
            if isinstance(up := state.document.get(f"hop_{hop}"), bool):
                gauge.add_metric((state.edge, state.camera, hop), float(up))
    return gauge


def _versions(states: list[CameraState]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily("face_app_fleet_info", "Version of the program.", labels=("edge", "camera", "version"))
    for state in states:
        version = state.document.get("version")
        valid = isinstance(version, str) and re.fullmatch(r"[0-9A-Za-z.+-]{1,32}", version)
        gauge.add_metric((state.edge, state.camera, str(version) if valid else "unknown"), 1)
    return gauge


def _number(value: object) -> float | None:
    """Return a finite number; None for anything else that an edge can publish."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
