"""Runs an outbox whose files go back in time, with a real subscriber's marks, and audits the end."""

import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from face_app.cloud.audit import audit
from face_app.cloud.audit.report import AuditReport
from face_app.cloud.audit.scope import Scope
from face_app.cloud.bucket import operations
from face_app.cloud.bucket.mark_object import load_marks
from face_app.cloud.stores.directory import DirectoryStore
from face_app.cloud.subscriber.marks import MarkRecorder
from face_app.common.settings import CloudSettings, OutboxFile, Store
from face_app.common.wire import Receipt
from face_app.edge.outbox.export import export_ledger
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.records import Face
from support.new_faces import new_face

EDGE = "jetson"
BLOCK = 4096
WAYS = ("folder", "database", "database and log", "old database, new log", "new database, old log", "blocks")
"""How the files go back: the whole folder, some files, or single blocks of a disk that lied about sync."""


@dataclass
class Truth:
    """Records what happened, apart from the programs.

    Attributes:
        faces: Each committed face with the token of its opening.
        restored: Ways in which the files went back, in order.
    """

    faces: list[tuple[Face, str]] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """Describes the end of one case.

    Attributes:
        report: Report of the audit.
        truth: What happened.
        lost_marked: Faces that are lost, whose number a mark had.
        lost_later: Faces that are lost, whose number no mark had.
    """

    report: AuditReport
    truth: Truth
    lost_marked: list[Face]
    lost_later: list[Face]


class Box:
    """An edge's disk, and the cloud that it reaches at times."""

    def __init__(self, home: Path, chance: random.Random) -> None:
        self.chance = chance
        self.disk, self.copies = home / "disk", home / "copies"
        self.store = Store(kind="directory", path=home / "store")
        for folder in (self.disk, self.copies, home / "store"):
            folder.mkdir()
        self.path = self.disk / "outbox.db"
        self.truth = Truth()
        self._objects = DirectoryStore(home / "store")
        self._marks = MarkRecorder(CloudSettings(store=self.store), self._objects)

    def run_program(self) -> None:
        """Commit faces; some are stored, some receipts and states arrive. Half of the programs are killed."""
        left = self.disk.with_name("left")
        with opened(self.path) as outbox:
            for _ in range(self.chance.randrange(1, 6)):
                count = self.chance.randrange(1, 4)
                faces = outbox.append([new_face() for _ in range(count)])
                mark = outbox.mark()
                assert mark
                self.truth.faces += [(face, mark.opening) for face in faces]
                self._upload(outbox)
                if self.chance.random() < 0.6:
                    state = json.dumps({"outbox": asdict(mark)}).encode()
                    self._marks.add(f"status/{EDGE}/door", state)
                if self.chance.random() < 0.1:
                    self.copy()
            if self.chance.random() < 0.7:
                self._marks.flush()
            if self.chance.random() < 0.5:
                shutil.copytree(self.disk, left)
        if left.exists():  # the files as a killed program leaves them, with a write-ahead log
            shutil.rmtree(self.disk)
            left.rename(self.disk)

    def _upload(self, outbox: Outbox) -> None:
        receipts = []
        for row in outbox.oldest_pending(self.chance.randrange(3)):
            found = outbox.payloads([row]).get(row)
            face = next((face for face, _ in self.truth.faces if found and face.sha256 == sha256_of(found[1])), None)
            if found and face:
                self._objects.put(face.key, found[1], face.sha256)
                at = datetime.now(timezone.utc)
                receipts.append(Receipt(face.id, face.sha256, face.key, at, "stored"))
        if self.chance.random() < 0.8:
            outbox.apply_receipts(receipts)

    def copy(self) -> None:
        shutil.copytree(self.disk, self.copies / str(len(list(self.copies.iterdir()))))

    def restore(self) -> None:
        """Bring one of the copies back, or parts of it."""
        copies = sorted(self.copies.iterdir())
        copy, way = self.chance.choice(copies), self.chance.choice(WAYS)
        self.truth.restored.append(way)
        if way == "folder":
            shutil.rmtree(self.disk)
            shutil.copytree(copy, self.disk)
        elif way == "blocks":
            self._mix(self.path, copy / self.path.name)
        else:
            if way != "new database, old log":
                shutil.copy2(copy / self.path.name, self.path)
            if way != "old database, new log":
                (self.disk / "outbox.db-wal").unlink(missing_ok=True)
                (self.disk / "outbox.db-shm").unlink(missing_ok=True)
                log = copy / "outbox.db-wal"
                if way != "database" and log.exists():
                    shutil.copy2(log, self.disk / log.name)

    def _mix(self, new: Path, old: Path) -> None:
        """Bring single blocks of the file back."""
        before, after = old.read_bytes(), bytearray(new.read_bytes())
        share = self.chance.uniform(0.05, 0.6)
        for start in range(0, min(len(before), len(after)), BLOCK):
            if self.chance.random() < share:
                after[start : start + BLOCK] = before[start : start + BLOCK]
        new.write_bytes(after)

    def audit(self) -> Result:
        """Let the sender try each face, export the ledger, audit, and compare with the truth."""
        with opened(self.path) as outbox:
            for row in outbox.oldest_pending(10_000):
                outbox.payloads([row])
            with export_ledger(outbox, EDGE) as ledger:
                report = audit.run(self.store, [ledger], Scope(), content=True)
            waiting = waiting_faces(outbox)
            expired = named_as_lost(outbox)
        present = set(operations.keys(self.store, ""))
        gone = [
            (face, opening)
            for face, opening in self.truth.faces
            if face.key not in present and face.sha256 not in waiting | expired
        ]
        marks = self._written()
        marked = [face for face, opening in gone if face.id.sequence <= marks.get((face.id.outbox, opening), 0)]
        return Result(report, self.truth, marked, [face for face, _ in gone if face not in marked])

    def _written(self) -> dict[tuple[str, str], int]:
        """Return the highest number in the bucket by outbox and opening."""
        read = operations.reader(self.store)
        keys = list(operations.keys(self.store, "marks/"))
        return {
            (key.split("/")[2], mark.token): mark.last for key in keys for mark in load_marks(read(key) or b"", key)
        }


@contextmanager
def opened(path: Path) -> Iterator[Outbox]:
    with Outbox(OutboxFile(path=path)) as outbox:
        yield outbox


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def waiting_faces(outbox: Outbox) -> set[str]:
    """Return the hashes of the files that are still in the outbox, as their bytes have them."""
    with outbox.read_snapshot() as snapshot:
        files = snapshot.execute(
            "SELECT file FROM faces JOIN pixels USING (row) WHERE state IN ('waiting', 'refused')"
        ).fetchall()
    return {sha256_of(file) for (file,) in files}


def named_as_lost(outbox: Outbox) -> set[str]:
    """Return the hashes of the faces that the ledger calls expired: their loss is counted, with its reason."""
    with outbox.read_snapshot() as snapshot:
        return {sha for (sha,) in snapshot.execute("SELECT sha256 FROM faces WHERE state = 'expired'")}


def run_case(home: Path, seed: int) -> Result:
    """Run one case: some programs, with copies between them, and one or two that find files of the past."""
    box = Box(home, random.Random(seed))
    box.run_program()
    box.copy()
    for _ in range(box.chance.randrange(1, 3)):
        for _ in range(box.chance.randrange(1, 4)):
            box.run_program()
            if box.chance.random() < 0.4:
                box.copy()
        box.restore()
        if box.chance.random() < 0.8:
            box.run_program()
    return box.audit()
