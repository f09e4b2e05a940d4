"""The command line. Each command reads its settings, runs one program, and ends with a code that means something."""

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from face_app import __version__
from face_app.errors import FaceAppError
from face_app.settings import CloudSettings, EdgeSettings, load

# Programs are imported inside their commands: the cloud's image has no OpenCV, the edge's has no boto3.

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A camera sees a face; the face becomes one object in a bucket, once.",
    epilog="Exit codes: 0 done, 2 wrong setting or usage, 3 source or detector, 4 outbox, 5 broker refuses, "
    "6 store, 7 faces still wait, 8 not verified, 1 anything else.",
)
bucket_app = typer.Typer(no_args_is_help=True, help="The bucket itself.")
app.add_typer(bucket_app, name="bucket")

Config = Annotated[Path | None, typer.Option(help="TOML settings file; FACE_APP_CONFIG names it too.")]
Host = Annotated[str | None, typer.Option(metavar="HOST[:PORT]", help="The broker.")]
AsJson = Annotated[bool, typer.Option("--json", help="End with one JSON object on standard output.")]


def _broker(host: str | None) -> dict[str, Any]:
    name, colon, port = (host or "").rpartition(":")
    return {"broker.host": name, "broker.port": port} if colon and port.isdigit() else {"broker.host": host}


def _log(level: str) -> None:
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(message)s", force=True
    )


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
    as_json: AsJson = False,
) -> None:
    """See faces and get each into the cloud."""
    from face_app.edge import capture as program  # noqa: PLC0415

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
    _log(settings.log)
    summary = program.run(settings, wait=wait)
    if as_json:
        typer.echo(json.dumps(asdict(summary)))


@app.command()
def send(
    *,
    config: Config = None,
    broker: Host = None,
    outbox: Annotated[Path | None, typer.Option(help="Where faces wait until the cloud has them.")] = None,
    until_empty: Annotated[bool, typer.Option("--until-empty", help="End when nothing waits.")] = False,
) -> None:
    """Send what waits in the outbox; no camera."""
    from face_app.edge import send as program  # noqa: PLC0415

    settings = load(EdgeSettings, config, {"outbox.path": outbox, **_broker(broker)})
    _log(settings.log)
    program.run(settings, until_empty=until_empty)


@app.command()
def subscribe(
    *,
    config: Config = None,
    broker: Host = None,
    store: Annotated[Path | None, typer.Option(help="Keep faces in this plain folder.")] = None,
) -> None:
    """Take faces from the broker into the store and send receipts."""
    from face_app.cloud import subscriber as program  # noqa: PLC0415

    folder = {"store.kind": "directory", "store.path": store} if store else {}
    settings = load(CloudSettings, config, {**folder, **_broker(broker)})
    _log(settings.log)
    program.run(settings)


@bucket_app.command("ensure")
def bucket_ensure(
    *, config: Config = None, check: Annotated[bool, typer.Option("--check", help="Change nothing.")] = False
) -> None:
    """Create the bucket where it is missing; print `changed` or `ok`."""
    from face_app.cloud import bucket as program  # noqa: PLC0415

    settings = load(CloudSettings, config, {})
    typer.echo("changed" if program.ensure(settings.store, check=check) else "ok")


def main() -> None:
    """Run a command; an error of ours becomes one line and its exit code."""
    try:
        app()
    except FaceAppError as error:
        sys.stderr.write(f"face-app: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
