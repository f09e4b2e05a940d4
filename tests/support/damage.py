"""Damages an outbox at random, and counts its whole faces without the program's own reader."""

import random
import shutil
import sqlite3
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from face_app.common.settings import OutboxFile
from face_app.common.wire import Receipt
from face_app.edge.outbox.outbox import Outbox
from support.new_faces import new_face
from support.visits import visit

PAGE = 4096
FRAME = PAGE + 24
CAMERAS = ("door", "gate", "yard")
KINDS = (
    "page",
    "bytes",
    "bit",
    "zeros",
    "swap",
    "record",
    "header",
    "log",
    "log-header",
    "cut",
    "tail",
    "seen",
    "field",
    "copy",
    "old",
    "old-log",
)


def write_outbox(path: Path, chance: random.Random) -> tuple[dict[str, tuple[str, str]], dict[str, bytes]]:
    """Write an outbox with a history, as a killed program leaves it: with a log.

    Returns:
        State and hash of each face by its id, and the image of each face that has one.
    """
    states: dict[str, tuple[str, str]] = {}
    with Outbox(OutboxFile(path=path)) as outbox:
        for _ in range(chance.randint(2, 12)):
            drawn = [(chance.choice(CAMERAS), chance.choice((24, 60, 150))) for _ in range(chance.randint(1, 8))]
            faces = outbox.append([new_face(camera, size=size) for camera, size in drawn], [visit()])
            states |= {str(face.id): ("waiting", face.sha256) for face in faces}
            committed = outbox.run_faces()
            if chance.random() < 0.5:
                done = chance.sample(committed, chance.randint(0, len(committed) // 2))
                result: Literal["stored", "refused"] = chance.choice(("stored", "stored", "refused"))
                now = datetime.now(timezone.utc)
                reason = "" if result == "stored" else "too-large"
                outbox.apply_receipts([Receipt(each.id, each.sha256, each.key, now, result, reason) for each in done])
                for each in done:
                    if result == "stored" or states[str(each.id)][0] == "waiting":
                        states[str(each.id)] = (result, each.sha256)
            if chance.random() < 0.3:
                _copy(path, path.parent / "older")
            if chance.random() < 0.3:
                outbox._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        query = "SELECT id, file FROM faces JOIN pixels USING (row)"
        images = dict(outbox._connection.execute(query).fetchall())
        _copy(path, path.parent / "killed")
    for name in ("", "-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    for file in (path.parent / "killed").iterdir():
        shutil.copy2(file, path.with_name(file.name))
    return states, images


def _copy(path: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in ("", "-wal"):
        source = path.with_name(path.name + name)
        if source.exists():
            shutil.copy2(source, folder / source.name)


def damage(path: Path, chance: random.Random) -> str:
    """Damage the outbox, sometimes in two places; return what was done."""
    kinds = chance.choices(KINDS, k=1 if chance.random() < 0.7 else 2)
    # SQLite would change a damaged file at random places.
    kinds.sort(key=lambda kind: kind not in {"record", "field"})
    return ", ".join(_damage_once(path, chance, kind) for kind in kinds)


def _damage_once(path: Path, chance: random.Random, kind: str) -> str:
    if kind == "seen":
        seen = path.with_name(f"{path.name}.seen")
        seen.write_bytes(chance.choice((b"", b"{", seen.read_bytes()[:30], chance.randbytes(4096))))
        return kind
    if kind in {"record", "field"}:
        return _damage_record(path, chance, kind)
    if kind.startswith("old"):
        return _mix(path, chance, kind)
    log = path.with_name(f"{path.name}-wal")
    use_log = log.exists() and log.stat().st_size > FRAME and (kind.startswith("log") or chance.random() < 0.4)
    target = log if use_log else path
    data = bytearray(target.read_bytes())
    if len(data) < PAGE:
        return "nothing: it is cut already"
    _spoil(data, chance, kind)
    target.write_bytes(data)
    return f"{kind} of {target.name}"


def _mix(path: Path, chance: random.Random, kind: str) -> str:
    """Put pages, or the log, of an earlier time beside those of now."""
    name = path.name if kind == "old" else f"{path.name}-wal"
    older = path.parent / "older" / name
    if not older.exists():
        return "nothing: there is no older copy"
    data = older.read_bytes()
    if kind == "old":
        now = bytearray(path.read_bytes())
        for _ in range(chance.randint(1, 6)):
            start = chance.randrange(len(data) // PAGE) * PAGE
            now[start : start + PAGE] = data[start : start + PAGE]
        data = bytes(now)
    path.with_name(name).write_bytes(data)
    return kind


def _spoil(data: bytearray, chance: random.Random, kind: str) -> None:
    pages = len(data) // PAGE
    start = chance.randrange(pages) * PAGE
    if kind == "page":
        for _ in range(chance.randint(1, 4)):
            start = chance.randrange(pages) * PAGE
            data[start : start + PAGE] = chance.randbytes(PAGE)
    elif kind in {"zeros", "tail"}:
        end = start + PAGE if kind == "zeros" else len(data)
        data[start:end] = bytes(end - start)
    elif kind in {"bytes", "log"}:
        for _ in range(chance.randint(1, 20)):
            data[chance.randrange(len(data))] = chance.randrange(256)
    elif kind == "bit":
        data[start + chance.randrange(PAGE)] ^= 1 << chance.randrange(8)
    elif kind == "swap":
        other = chance.randrange(pages) * PAGE
        data[start : start + PAGE], data[other : other + PAGE] = data[other : other + PAGE], data[start : start + PAGE]
    elif kind == "copy":
        other = chance.randrange(pages) * PAGE
        data[start : start + PAGE] = data[other : other + PAGE]
    elif kind == "header":
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(100)] = chance.randrange(256)
    elif kind == "log-header":
        data[chance.randrange(56)] = chance.randrange(256)
    elif kind == "cut":
        del data[chance.randrange(len(data)) :]


def _damage_record(path: Path, chance: random.Random, kind: str) -> str:
    """Change a row as a valid transaction would, so that SQLite finds nothing wrong."""
    connection = sqlite3.connect(path, isolation_level=None)
    rows = [row for (row,) in connection.execute("SELECT row FROM pixels ORDER BY row")]
    row = chance.choice(rows) if rows else "NULL"
    statements = {
        "record": [
            f"DELETE FROM pixels WHERE row = {row}",
            f"UPDATE pixels SET file = (SELECT file FROM pixels LIMIT 1) WHERE row = {row}",
            f"DELETE FROM faces WHERE row = {row}",
            f"UPDATE faces SET row = 9223372036854775807 WHERE row = {row}",
            f"UPDATE pixels SET row = row + 1000000 WHERE row = {row}",
            f"UPDATE pixels SET row = 9000000000000000000 WHERE row = {row}",
            f"UPDATE pixels SET file = substr(file, 1, 50) WHERE row = {row}",
        ],
        "field": [
            "UPDATE outbox SET sequence = 1",
            "UPDATE outbox SET sequence = 9223372036854775807",
            "UPDATE outbox SET id = 'x'",
            "UPDATE outbox SET pruned_to = 1e300",
            "DELETE FROM outbox",
            "INSERT INTO outbox SELECT * FROM outbox",
            f"UPDATE faces SET sha256 = 'x' WHERE row = {row}",
            f"UPDATE faces SET id = 'x' WHERE row = {row}",
            f"UPDATE faces SET topic = 'x' WHERE row = {row}",
            f"UPDATE faces SET captured_at = 1e300 WHERE row = {row}",
            "PRAGMA application_id = 5",
            "PRAGMA user_version = 99",
            "PRAGMA user_version = 2",
            "DROP TABLE former",
            "DROP INDEX waiting",
            "UPDATE outbox SET pixel_bytes = 9000000000000000000",
        ],
    }[kind]
    statement = chance.choice(statements)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute(statement)
    connection.close()
    return statement


def whole_faces(path: Path, states: dict[str, tuple[str, str]], images: dict[str, bytes]) -> set[str]:
    """Return the ids of the waiting and refused faces whose whole image is somewhere in the files."""
    raw = _pages(path)
    return {face for face, (state, _) in states.items() if state != "stored" and _is_whole(raw, images[face])}


def _pages(path: Path) -> dict[int, set[bytes]]:
    """Return each version of each page, in the file and in the current generation of the log."""
    data = path.read_bytes() if path.exists() else b""
    pages = {start // PAGE + 1: {data[start : start + PAGE]} for start in range(0, len(data), PAGE)}
    log = path.with_name(f"{path.name}-wal")
    data = log.read_bytes() if log.exists() else b""
    for start in range(32, len(data), FRAME):
        if data[start + 8 : start + 16] == data[16:24]:
            number = int.from_bytes(data[start : start + 4], "big")
            pages.setdefault(number, set()).add(data[start + 24 : start + FRAME])
    return pages


def _is_whole(pages: dict[int, set[bytes]], image: bytes) -> bool:
    """Return True if the image is in one page, or continues from page to page along intact links."""
    for page in (each for versions in pages.values() for each in versions):
        if image in page:
            return True
        at = page.find(image[:400])
        if at >= 0 and any(_continues(pages, page[at:], image, header) for header in range(3, 9)):
            return True
    return False


def _continues(pages: dict[int, set[bytes]], start: bytes, image: bytes, header: int) -> bool:
    """Return True if the image is whole, given its first page and the bytes of its record before it."""
    size = len(image) + header
    local = 489 + (size - 489) % 4092
    local = (local if local <= 4061 else 489) - header
    if start[:local] != image[:local]:
        return False
    link = start[local : local + 4]
    for begin in range(local, len(image), 4092):
        part = image[begin : begin + 4092]
        versions = pages.get(int.from_bytes(link, "big"), set())
        link = next((page[:4] for page in versions if page[4 : 4 + len(part)] == part), b"")
        if not link:
            return False
    return True
