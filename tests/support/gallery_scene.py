"""A bucket with drawn faces, marks and reports, and edges in every state: what the gallery's pages can show."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.publish

from face_app.cloud.audit.report_object import dump_reports
from face_app.common.settings import Store
from support.audits import audited
from support.faces import DrawnFace
from support.portraits import portrait


@dataclass(frozen=True)
class Place:
    """One camera of the scene."""

    edge: str
    camera: str
    outbox: str


DOOR, YARD = Place("jetson", "door", "0badcafe"), Place("jetson", "yard", "0badcafe")
HALL, GATE = Place("pi-hall", "hall", "5ca1ab1e"), Place("pi-gate", "gate", "ba5eba11")
PLACES = (DOOR, YARD, HALL, GATE)


def visits(count: int, now: datetime, *, spread: timedelta) -> list[DrawnFace]:
    """Return the faces of some visits before a time, newest last; every third visit has several shots."""
    draw = np.random.default_rng(7)
    numbers = {place.outbox: 0 for place in PLACES}
    faces = []
    for visit in range(count):
        place = PLACES[int(draw.integers(len(PLACES)))]
        began = now - spread * ((count - visit) / count) ** 2
        for shot in range(int(draw.integers(2, 7)) if visit % 3 == 0 else 1):
            numbers[place.outbox] += 1
            faces.append(
                portrait(
                    numbers[place.outbox],
                    began + timedelta(seconds=2.5 * shot),
                    edge=place.edge,
                    camera=place.camera,
                    outbox=place.outbox,
                    person=1 + visit % 9,
                    track=visit + 1,
                    why="better" if shot else "first",
                    score=round(0.4 + 0.08 * shot + float(draw.uniform(0, 0.12)), 2),
                )
            )
    return faces


def put(store: Store, *faces: DrawnFace) -> None:
    """Store faces in a folder."""
    for face in faces:
        write(store, face.key, face.payload)


def write(store: Store, key: str, data: bytes) -> None:
    """Store an object in a folder."""
    assert store.path
    path = store.path / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def put_records(store: Store, faces: Iterable[DrawnFace], now: datetime) -> None:
    """Leave a mark with a gap, refused messages, an erased face, a broken object, and the report of an audit."""
    newest: dict[tuple[str, str], int] = {}
    for face in faces:
        place = (face.metadata.edge, face.id.outbox)
        newest[place] = max(newest.get(place, 0), face.id.sequence)
    for (edge, outbox), last in newest.items():
        mark = {"version": 1, "at": now.isoformat(), "openings": {"a" * 16: [1, last + 2]}}
        write(store, f"marks/{edge}/{outbox}/subscriber-1.json", json.dumps(mark).encode())
    write(store, "quarantine/pi-hall/not-an-image/0.bin", b"x")
    write(store, "quarantine/pi-hall/too-large/1.bin", b"x")
    report, _ = audited(_Place(store), [], content=False)
    for key, data in dump_reports(report, None, now - timedelta(hours=30)):
        write(store, key, data)
    write(store, "audits/pi-gate.json", b"{}")


@dataclass(frozen=True)
class _Place:
    settings: Store


def publish_states(port: int, now: datetime) -> None:
    """Publish a state of each camera: ready, with a problem, offline, and one that is old."""
    states: dict[Place, dict[str, Any]] = {
        DOOR: {"certificate_days": 301.4, "faces": 41},
        YARD: {"problem": "no frame for 74 s: check the camera", "certificate_days": 301.4, "waiting": 3},
        HALL: {"state": "offline", "problem": "stopped", "certificate_days": 12.6},
        GATE: {"at": (now - timedelta(hours=2)).isoformat(), "certificate_days": -1.0, "waiting": 1250},
    }
    for place, values in states.items():
        document = {
            "state": "online",
            "problem": "",
            "version": "0.9.0",
            "at": now.isoformat(),
            "waiting": 0,
            "oldest_waiting": 95.0,
            "outbox_fullness": 0.031,
            "hop_forwarder": True,
            "hop_cloud": place is not GATE,
            "last_face": (now - timedelta(minutes=3)).isoformat(),
            **values,
        }
        topic = f"status/{place.edge}/{place.camera}"
        paho.mqtt.publish.single(topic, json.dumps(document), qos=1, retain=True, hostname="127.0.0.1", port=port)


def folder_store(path: Path) -> Store:
    """Return a store in a new folder."""
    path.mkdir()
    return Store(kind="directory", path=path)


def now() -> datetime:
    """Return the time, without fractions of a second."""
    return datetime.now(timezone.utc).replace(microsecond=0)
