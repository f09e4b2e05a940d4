"""Define the commands of the edge: capture, send, detect, ledger, retry."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from face_app.cli.options import (
    AsJson,
    BrokerAddress,
    Config,
    DetectorModel,
    DetectorName,
    EdgeName,
    OutboxPath,
    broker_overrides,
)
from face_app.common.errors import StillWaitingError
from face_app.common.ledger_file import write_ledger
from face_app.common.log import log_to_stderr
from face_app.common.settings import EdgeSettings, load

if TYPE_CHECKING:
    from face_app.edge.commands.summary import CaptureSummary

# Each command imports its program when it runs, because the image of the cloud has no OpenCV.


def capture(  # noqa: PLR0913
    *,
    config: Config = None,
    source: Annotated[
        str | None, typer.Option(help="FILE, DIR, /dev/videoN, rtsp://..., http://... or mqtt://HOST/TOPIC.")
    ] = None,
    broker: BrokerAddress = None,
    edge: EdgeName = None,
    camera: Annotated[str | None, typer.Option(help="Name of this camera.")] = None,
    detector: DetectorName = None,
    model: DetectorModel = None,
    outbox: OutboxPath = None,
    loop: Annotated[bool | None, typer.Option("--loop", help="Restart a file or folder at its end.")] = None,
    pace: Annotated[str | None, typer.Option(help="source: at its own rate; fast: at full speed.")] = None,
    stop_after: Annotated[int | None, typer.Option(help="Stop after N captured faces.")] = None,
    wait: Annotated[float, typer.Option(help="Maximum seconds to wait for receipts at the end.")] = 30,
    metrics_port: Annotated[int | None, typer.Option(help="Serve /metrics, /live and /ready; 0: off.")] = None,
    dry_run: Annotated[
        Path | None, typer.Option(metavar="DIR", help="No broker: write the chosen shots to DIR, with the reasons.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Detect faces and send each to the cloud."""
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
            **broker_overrides(broker),
        },
    )
    if metrics_port == 0:
        settings = settings.model_copy(update={"metrics": settings.metrics.model_copy(update={"port": None})})
    log_to_stderr(settings.log)
    if dry_run:
        _run_dry(settings, dry_run, as_json=as_json)
        return
    from face_app.edge.sources.address import is_published  # noqa: PLC0415

    try:
        if is_published(settings.camera.source):
            from face_app.edge.commands import receive  # noqa: PLC0415

            summary = receive.run(settings, wait=wait)
        else:
            from face_app.edge.commands import capture as program  # noqa: PLC0415

            summary = program.run(settings, wait=wait)
    except StillWaitingError as error:
        _print_summary(error.summary, as_json=as_json)
        raise
    _print_summary(summary, as_json=as_json)


def _print_summary(summary: "CaptureSummary", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(summary)))
        return
    line = f"{summary.frames} frames, {summary.captured} faces captured: {summary.stored} stored, "
    line += f"{summary.waiting} waiting, {summary.refused} refused, {summary.expired} expired, {summary.erased} erased"
    if summary.stored:
        line += f"; frame to receipt p50 {summary.latency_ms.p50} ms, p99 {summary.latency_ms.p99} ms"
    typer.echo(line)


def _run_dry(settings: EdgeSettings, folder: Path, *, as_json: bool) -> None:
    from face_app.edge.commands import dry_run as program  # noqa: PLC0415

    result = program.run(settings, folder)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
        return
    for shot in result.shots:
        typer.echo(f"{shot.file}  {shot.why}, quality {shot.score:.2f}, frame {shot.frame}")
    share = 100 * result.cpu_seconds / max(result.seconds, 1e-3)
    typer.echo(
        f"{result.frames} frames, {result.detected} with the detector run: {result.tracks} visits, "
        f"{len(result.shots)} shots in {folder}; {result.cpu_seconds:.1f} s of CPU in {result.seconds:.1f} s "
        f"({share:.0f} % of a core)"
    )


def detect(  # noqa: PLR0913
    files: Annotated[list[Path], typer.Argument(help="Photos.")],
    *,
    config: Config = None,
    detector: DetectorName = None,
    model: DetectorModel = None,
    score: Annotated[float | None, typer.Option(help="Minimum confidence of a face, 0 to 1.")] = None,
    width: Annotated[int | None, typer.Option(help="Scale photos to this width first.")] = None,
    draw: Annotated[Path | None, typer.Option(metavar="DIR", help="Write copies with the faces drawn to DIR.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per photo.")] = False,
) -> None:
    """Detect faces in photos. Nothing is sent or stored.

    In the copies of --draw, a green face can start a visit; a red face can only continue a visit.
    """
    from face_app.edge.commands import detect as program  # noqa: PLC0415

    options = {"detector.name": detector, "detector.model": model, "detector.score": score, "detector.width": width}
    settings = load(EdgeSettings, config, options)
    log_to_stderr(settings.log)
    for photo in program.run(settings, files, draw):
        if as_json:
            typer.echo(json.dumps(asdict(photo)))
            continue
        typer.echo(f"{photo.file}: {photo.width} x {photo.height}, {len(photo.faces)} faces")
        for face in photo.faces:
            typer.echo(f"  {face.score:.3f}  box {' '.join(f'{edge:.0f}' for edge in face.box)}")


def send(
    *,
    config: Config = None,
    broker: BrokerAddress = None,
    outbox: OutboxPath = None,
    until_empty: Annotated[bool, typer.Option("--until-empty", help="Stop when no face waits.")] = False,
) -> None:
    """Send the waiting faces of an outbox, without a camera."""
    from face_app.edge.commands import send as program  # noqa: PLC0415

    settings = load(EdgeSettings, config, {"outbox.path": outbox, **broker_overrides(broker)})
    log_to_stderr(settings.log)
    program.run(settings, until_empty=until_empty)


def ledger(
    *,
    config: Config = None,
    outbox: OutboxPath = None,
    edge: EdgeName = None,
    visits: Annotated[bool, typer.Option("--visits", help="Print the visits instead, one JSON object each.")] = False,
) -> None:
    """Print the ledger of an outbox, for `face-app audit`: every face, without its pixels."""
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


def retry(
    *,
    config: Config = None,
    outbox: OutboxPath = None,
    reason: Annotated[str | None, typer.Option(help="Only faces refused for this reason.")] = None,
) -> None:
    """Send refused faces again, after the cause in the cloud is corrected."""
    from face_app.edge.outbox.outbox import Outbox  # noqa: PLC0415

    settings = load(EdgeSettings, config, {"outbox.path": outbox})
    log_to_stderr(settings.log)
    with Outbox(settings.outbox) as opened:
        typer.echo(f"{opened.retry(reason)} faces wait again")
