"""Define the commands of erasure and export: erase, export."""

import getpass
import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from face_app.cli.options import AsJson, Config
from face_app.common.errors import SettingsError, StoreError
from face_app.common.log import log_to_stderr
from face_app.common.settings import CloudSettings, load

if TYPE_CHECKING:
    from face_app.cloud.bucket.tombstone import Tombstones
    from face_app.cloud.erasure.eraser import Erased

# Each command imports its program when it runs, because the image of the edge has no boto3.

MAX_KEY = 10_000
"""Maximum bytes of a key pair."""
SHOWN = 20
"""Maximum number of unreadable faces that are named."""

Edge = Annotated[str | None, typer.Option(help="Only faces of this edge.")]
Camera = Annotated[str | None, typer.Option(help="Only faces of this camera.")]
Since = Annotated[str | None, typer.Option("--from", metavar="TIME", help="Only faces captured at this time or later.")]
Visit = Annotated[str | None, typer.Option(metavar="EDGE/ID", help="Only this visit, as the gallery's JSON names it.")]


def erase(  # noqa: PLR0913
    *,
    keys: Annotated[list[str] | None, typer.Argument(help="Keys of faces, or of copies in quarantine.")] = None,
    config: Config = None,
    edge: Edge = None,
    camera: Camera = None,
    since: Since = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Only faces captured before this time; unset: now.")
    ] = None,
    visit: Visit = None,
    all_edges: Annotated[bool, typer.Option("--all-edges", help="The range covers every edge.")] = False,
    why: Annotated[str, typer.Option(help="Reason, for the tombstone.")] = "",
    pending: Annotated[bool, typer.Option("--pending", help="Complete every earlier erasure.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until every subscriber knows, then delete again.")
    ] = True,
    key_from_stdin: Annotated[
        bool, typer.Option("--key-from-stdin", help="Read ACCESS_KEY:SECRET_KEY of a key that may delete.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; print the keys.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase faces for good: every version in the bucket, copies in quarantine, and faces that still wait at an edge.

    Select them by keys, or by a range of edge, camera, time and visit. Times are ISO 8601; the default zone is UTC. The
    erasure can be interrupted and repeated; `--pending` completes it. It ends with 6 if a face may be there still.
    """
    from face_app.cloud.erasure.eraser import Eraser, complete  # noqa: PLC0415
    from face_app.cloud.erasure.request import requested_erasure  # noqa: PLC0415

    settings = load(CloudSettings, config, {})
    limits = {"edge": edge, "camera": camera, "from": since, "to": until, "visit": visit}
    if pending and (keys or all_edges or any(limits.values())):
        raise SettingsError("--pending completes every earlier erasure: give no keys and no range")
    selections = [] if pending else requested_erasure(keys or [], limits, all_edges=all_edges)
    log_to_stderr(settings.log)
    erasure = settings.erasure
    if key_from_stdin:
        erasure = erasure.model_copy(update={"credentials_file": _file_in_memory(sys.stdin.buffer.read(MAX_KEY))})
    eraser = Eraser(settings.store, erasure)
    tombstones = eraser.tombstones() if pending else None
    if check:
        erased = eraser.find(tombstones.selections() if tombstones else selections)
    else:
        tombstones = tombstones or eraser.order(selections, by=_user(), why=why)
        erased = complete(eraser, tombstones, stop=threading.Event(), may_wait=wait)
    _report(erased, tombstones, check=check, as_json=as_json)


def export(  # noqa: PLR0913
    file: Annotated[Path, typer.Argument(help="ZIP file to write; it is readable by this user alone.")],
    *,
    config: Config = None,
    edge: Edge = None,
    camera: Camera = None,
    since: Since = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only faces captured before this.")] = None,
    visit: Visit = None,
    as_json: AsJson = False,
) -> None:
    """Write the faces of one edge, a time range or a visit into a ZIP file, with metadata.json.

    Times are ISO 8601; the default zone is UTC. The bucket is only read.
    """
    from face_app.cloud.bucket.export_faces import export_zip  # noqa: PLC0415
    from face_app.cloud.erasure.request import requested_range  # noqa: PLC0415

    settings = load(CloudSettings, config, {})
    limits = {"edge": edge, "camera": camera, "from": since, "to": until, "visit": visit}
    selection = requested_range(limits)
    log_to_stderr(settings.log)
    keys: list[str] = []
    partial = file.with_name(f".{file.name}.part")
    try:
        with open(partial, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as output:
            output.writelines(export_zip(settings.store, selection, on_face=keys.append))
        partial.rename(file)
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror}; choose another file") from error
    finally:
        partial.unlink(missing_ok=True)
    document = {"file": str(file), "faces": len(keys)}
    typer.echo(json.dumps(document) if as_json else f"{len(keys)} faces are in {file}")


def _report(erased: "Erased", tombstones: "Tombstones | None", *, check: bool, as_json: bool) -> None:
    bad = sorted(tombstones.bad.values()) if tombstones else []
    if as_json:
        document = {"check": check, "faces": sorted(erased.keys), "quarantine": sorted(erased.copies)}
        document |= {"unreadable": sorted(erased.unreadable), "unattributed": erased.unattributed}
        typer.echo(json.dumps({**document, "bad_tombstones": bad}))
    else:
        for key in sorted(erased.keys | erased.copies) if check else ():
            typer.echo(key)
        for line in bad:
            typer.echo(line)
        faces, copies = len(erased.keys), len(erased.copies)
        verb = "would be erased" if check else "erased"
        waiting = "" if check else "; those that wait at an edge are erased when they arrive"
        typer.echo(f"{faces} faces and {copies} copies in quarantine {verb}{waiting}")
        if erased.unattributed:
            typer.echo(f"{erased.unattributed} copies in quarantine name no time: erase each by its key if need be")
    if erased.unreadable:
        named = ", ".join(sorted(erased.unreadable)[:SHOWN])
        raise StoreError(
            f"{len(erased.unreadable)} faces may be in the range, but their metadata cannot be read; erase them by "
            f"their keys: {named}"
        )


def _file_in_memory(content: bytes) -> Path:
    """Return a file that exists in this process alone: a container may have no folder to write to."""
    descriptor = os.memfd_create("credentials")
    os.write(descriptor, content)
    return Path(f"/proc/self/fd/{descriptor}")


def _user() -> str:
    """Return the name of the user of this process, as far as it has one."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container has users without a name
        return str(os.getuid())
