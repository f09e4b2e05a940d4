"""The command line. Each command reads its settings, runs one program, and ends with a code that means something."""

import json
import logging
import os
import sys
import threading
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from face_app import __version__
from face_app.cli.bucket import Config, bucket_app
from face_app.cli.vision import detect, rehearse
from face_app.common.errors import AuditError, FaceAppError, SettingsError, StillWaitingError
from face_app.common.health_server import fetch_health
from face_app.common.ledger_file import opened_ledgers, write_ledger
from face_app.common.log import log_to_stderr
from face_app.common.settings import CloudSettings, EdgeSettings, HealthSettings, Store, load

if TYPE_CHECKING:
    from face_app.edge.commands.summary import CaptureSummary

# Programs are imported inside their commands: the cloud's image has no OpenCV, the edge's has no boto3.

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A camera sees a face; the face becomes one object in a bucket, once.",
    epilog="Exit codes: 0 done, 2 wrong setting or usage, 3 source or detector, 4 outbox, 5 broker refuses, "
    "6 store, 7 faces still wait, 8 not verified, 9 the audit found a fault, 1 anything else.",
)
app.add_typer(bucket_app, name="bucket")
app.command()(detect)

Host = Annotated[str | None, typer.Option(metavar="HOST[:PORT]", help="The broker; of IPv6: [::1]:1883.")]
AsJson = Annotated[bool, typer.Option("--json", help="End with one JSON object on standard output.")]


class Program(str, Enum):
    """Whose settings."""

    EDGE = "edge"
    CLOUD = "cloud"


def _broker(host: str | None) -> dict[str, Any]:
    name, _, port = (host or "").rpartition(":")
    # With more than one colon it is an IPv6 address, whose port is told from it only by brackets.
    if port.isdigit() and name and (":" not in name or name.endswith("]")):
        return {"broker.host": name.strip("[]"), "broker.port": port}
    return {"broker.host": host.strip("[]") if host else None}


@app.callback(invoke_without_command=True)
def version(*, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Print the version and stop, where that was asked for."""
    if version:
        typer.echo(f"face-app {__version__}")
        raise typer.Exit


@app.command()
def capture(  # noqa: PLR0913
    *,
    config: Config = None,
    source: Annotated[str | None, typer.Option(help="FILE, DIR, /dev/videoN, rtsp://... or http://...")] = None,
    broker: Host = None,
    edge: Annotated[str | None, typer.Option(help="Name of this box.")] = None,
    camera: Annotated[str | None, typer.Option(help="Name of this camera.")] = None,
    detector: Annotated[str | None, typer.Option(help="yunet, or the write-up's haar.")] = None,
    model: Annotated[Path | None, typer.Option(help="A YuNet ONNX file of known SHA-256.")] = None,
    outbox: Annotated[Path | None, typer.Option(help="Where faces wait until the cloud has them.")] = None,
    loop: Annotated[bool | None, typer.Option("--loop", help="Start a file or folder again at its end.")] = None,
    pace: Annotated[str | None, typer.Option(help="source: at its own rate; fast: as fast as it reads.")] = None,
    stop_after: Annotated[int | None, typer.Option(help="Stop after N captured faces.")] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait at the end for faces to be stored.")] = 30,
    metrics_port: Annotated[int | None, typer.Option(help="Serve /metrics and /ready; 0: do not.")] = None,
    dry_run: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Without a broker: put the chosen shots there and say why.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """See faces and get each into the cloud."""
    settings = load(
        EdgeSettings,
        config,
        {
            "camera.source": source,
            "camera.name": camera,
            "camera.loop": loop,
            "camera.pace": pace,
            "camera.stop_after": stop_after,
            "detector.name": detector,
            "detector.model": model,
            "outbox.path": outbox,
            "edge": edge,
            "metrics.port": metrics_port or None,
            **_broker(broker),
        },
    )
    if metrics_port == 0:
        settings = settings.model_copy(update={"metrics": settings.metrics.model_copy(update={"port": None})})
    log_to_stderr(settings.log)
    if dry_run:
        rehearse(settings, dry_run, as_json=as_json)
        return
    from face_app.edge.commands import capture as program  # noqa: PLC0415

    try:
        summary = program.run(settings, wait=wait)
    except StillWaitingError as error:
        _tell(error.summary, as_json=as_json)
        raise
    _tell(summary, as_json=as_json)


def _tell(summary: "CaptureSummary", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(summary)))
        return
    line = f"{summary.frames} frames, {summary.captured} faces captured: {summary.stored} stored, "
    line += f"{summary.waiting} waiting, {summary.refused} refused, {summary.expired} expired"
    if summary.stored:
        line += f"; frame to receipt p50 {summary.latency_ms.p50} ms, p99 {summary.latency_ms.p99} ms"
    typer.echo(line)


@app.command()
def send(
    *,
    config: Config = None,
    broker: Host = None,
    outbox: Annotated[Path | None, typer.Option(help="Where faces wait until the cloud has them.")] = None,
    until_empty: Annotated[bool, typer.Option("--until-empty", help="End when nothing waits.")] = False,
) -> None:
    """Send what waits in the outbox; no camera."""
    from face_app.edge.commands import send as program  # noqa: PLC0415

    settings = load(EdgeSettings, config, {"outbox.path": outbox, **_broker(broker)})
    log_to_stderr(settings.log)
    program.run(settings, until_empty=until_empty)


@app.command()
def ledger(
    *,
    config: Config = None,
    outbox: Annotated[Path | None, typer.Option(help="Whose faces.")] = None,
    edge: Annotated[str | None, typer.Option(help="Name of this box.")] = None,
    visits: Annotated[bool, typer.Option("--visits", help="Who came when instead: one JSON object a visit.")] = False,
) -> None:
    """Print what the outbox knows of each face, without pixels, for `face-app audit`."""
    from face_app.edge.outbox.export import export_ledger, export_visits  # noqa: PLC0415
    from face_app.edge.outbox.outbox import Outbox  # noqa: PLC0415

    settings = load(EdgeSettings, config, {"outbox.path": outbox, "edge": edge})
    log_to_stderr(settings.log)
    if visits:
        with Outbox(settings.outbox) as opened:
            for visit in export_visits(opened):
                typer.echo(json.dumps(asdict(visit), default=str))
        return
    with Outbox(settings.outbox) as opened, export_ledger(opened, settings.edge) as faces:
        write_ledger(faces, sys.stdout.buffer)


@app.command()
def retry(
    *,
    config: Config = None,
    outbox: Annotated[Path | None, typer.Option(help="Whose faces.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only those refused for this reason.")] = None,
) -> None:
    """Let refused faces wait again, after what they were refused for was changed in the cloud."""
    from face_app.edge.outbox.outbox import Outbox  # noqa: PLC0415

    settings = load(EdgeSettings, config, {"outbox.path": outbox})
    log_to_stderr(settings.log)
    with Outbox(settings.outbox) as opened:
        typer.echo(f"{opened.retry(reason)} faces wait again")


@app.command()
def subscribe(
    *,
    config: Config = None,
    broker: Host = None,
    store: Annotated[
        Path | None, typer.Option(help="Keep faces in this plain folder; it is made at the start.")
    ] = None,
) -> None:
    """Take faces from the broker into the store and send receipts."""
    from face_app.cloud.subscriber import subscribe as program  # noqa: PLC0415

    folder = {"store.kind": "directory", "store.path": store} if store else {}
    settings = load(CloudSettings, config, {**folder, **_broker(broker)})
    log_to_stderr(settings.log)
    if store:
        from face_app.cloud.bucket import bucket  # noqa: PLC0415

        bucket.ensure(settings.store, check=False)
    program.run(settings)


@app.command()
def verify(  # noqa: PLR0913
    *,
    config: Config = None,
    store_config: Annotated[Path | None, typer.Option(help="The subscriber's TOML file: fetch the object too.")] = None,
    key: Annotated[str | None, typer.Option("--object", metavar="KEY", help="Only fetch and compare this one.")] = None,
    sha256: Annotated[str | None, typer.Option(metavar="HEX", help="What the object must hash to.")] = None,
    wait: Annotated[float, typer.Option(help="Seconds until it must have arrived.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Put a known picture in at the edge and see it arrive.

    At the edge: waits for the receipt. With --store-config, or in the cloud with --object and --sha256:
    fetches the object, compares its SHA-256 and prints its URL.
    """
    if bool(key) != bool(sha256):
        raise SettingsError("--object and --sha256 belong together: give both, or neither to put a test card in")
    store: Store | None = None
    if key and sha256:
        store = load(CloudSettings, store_config or config, {}).store
        report: dict[str, Any] = {"key": key, "sha256": sha256}
    else:
        from face_app.edge.commands import verify as edge  # noqa: PLC0415

        settings = load(EdgeSettings, config, {})
        log_to_stderr(settings.log)
        if store_config:  # read before the card goes in: a wrong setting must not leave one in the outbox
            store = load(CloudSettings, store_config, {}).store
        report = asdict(edge.run(settings, wait=wait))
    if store:
        from face_app.cloud.bucket import verify as cloud  # noqa: PLC0415

        report["url"] = cloud.run(store, report["key"], report["sha256"], wait=wait)
    typer.echo(json.dumps(report) if as_json else "\n".join(f"{name}: {value}" for name, value in report.items()))


@app.command()
def audit(  # noqa: PLR0913
    *,
    config: Config = None,
    ledger: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="What `face-app ledger` wrote at an edge; -: stdin.")
    ] = None,
    edge: Annotated[str | None, typer.Option(help="Only what is kept under this name.")] = None,
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Only faces captured since.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only faces captured before.")] = None,
    content: Annotated[bool, typer.Option("--content/--no-content", help="Read every object and compare it.")] = True,
    as_json: AsJson = False,
) -> None:
    """Prove that no face was lost: captured = stored + waiting + refused + expired + erased, face by face.

    Without a ledger the bucket is judged by itself: gaps in the numbers, copies, changed bytes. Times are ISO 8601,
    such as 2026-11-22 or 2026-11-22T18:30:00+01:00, and UTC where they have no zone. Nothing is changed.
    """
    from face_app.cloud.audit import audit as program  # noqa: PLC0415
    from face_app.cloud.audit.scope import scope_between  # noqa: PLC0415
    from face_app.cloud.audit.table import table  # noqa: PLC0415

    settings, scope = load(CloudSettings, config, {}), scope_between(edge, since, until)
    log_to_stderr(settings.log)
    with opened_ledgers(ledger or []) as ledgers:
        report = program.run(settings.store, ledgers, scope, content=content)
    typer.echo(json.dumps(report.document()) if as_json else table(report))
    if not report.holds:
        raise AuditError(report.verdict)


@app.command()
def health(
    *,
    config: Config = None,
    live: Annotated[
        bool, typer.Option("--live", help="Ignore causes elsewhere: a camera that is off, a cloud that is down.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the health of the running program; exit 1 with the reason unless it is ready."""
    state = fetch_health(load(HealthSettings, config, {}).metrics)
    if as_json:
        typer.echo(json.dumps(state.document()))
    if not (state.live if live else state.ready):
        raise FaceAppError(state.reason)


@app.command()
def check(*, program: Annotated[Program, typer.Argument()], config: Config = None) -> None:
    """Read the settings of a program and stop; exit 2 names what is wrong in them."""
    load(EdgeSettings if program is Program.EDGE else CloudSettings, config, {})


@app.command("contact-sheet")
def contact_sheet(
    sheet: Annotated[Path, typer.Argument(help="The PNG to write.")],
    faces: Annotated[list[Path], typer.Argument(help="Images of faces.")],
) -> None:
    """Draw many faces on one picture, with the time and camera of each."""
    from face_app.common import contact_sheet as program  # noqa: PLC0415

    program.draw(faces, sheet)


def main() -> None:
    """Run a command; an error of ours becomes one line and its exit code."""
    try:
        app()
    except FaceAppError as error:
        sys.stderr.write(f"face-app: {error}\n")
        _end(error.exit_code)
    except SystemExit as end:
        _end(end.code)


def _end(code: str | int | None) -> None:
    """End the process, also around a thread that hangs.

    A camera's read or a dead mount may hold a thread inside C++ for ever. Where the interpreter shuts down around one,
    the process ends by SIGABRT as soon as that thread comes back.
    """
    left_behind = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    if not left_behind or not isinstance(code, int):
        sys.exit(code)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
