"""Define the commands of both ends: verify, health, check, contact-sheet."""

import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic_settings import BaseSettings

from face_app.cli.options import AsJson, Config
from face_app.common.errors import FaceAppError, SettingsError
from face_app.common.health_server import fetch_health
from face_app.common.log import log_to_stderr
from face_app.common.settings import CloudSettings, EdgeSettings, GallerySettings, HealthSettings, Store, load


class Program(str, Enum):
    """Names the programs that have settings."""

    EDGE = "edge"
    CLOUD = "cloud"
    GALLERY = "gallery"


_MODELS: dict[Program, type[BaseSettings]] = {
    Program.EDGE: EdgeSettings,
    Program.CLOUD: CloudSettings,
    Program.GALLERY: GallerySettings,
}


def verify(  # noqa: PLR0913
    *,
    config: Config = None,
    store_config: Annotated[
        Path | None, typer.Option(help="TOML file of the subscriber; the object is then fetched too.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--object", metavar="KEY", help="Only fetch and compare this object.")
    ] = None,
    sha256: Annotated[str | None, typer.Option(metavar="HEX", help="Expected SHA-256 of the object.")] = None,
    wait: Annotated[float, typer.Option(help="Maximum seconds until the face is stored.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Send a test card from the edge and verify that it is stored.

    At the edge the command waits for the receipt. With --store-config, or in the cloud with --object and --sha256, it
    fetches the object, compares its SHA-256 and prints its URL.
    """
    if bool(key) != bool(sha256):
        raise SettingsError("--object and --sha256 belong together: give both, or neither to send a test card")
    store: Store | None = None
    if key and sha256:
        store = load(CloudSettings, store_config or config, {}).store
        report: dict[str, Any] = {"key": key, "sha256": sha256}
    else:
        from face_app.edge.commands import verify as edge  # noqa: PLC0415

        settings = load(EdgeSettings, config, {})
        log_to_stderr(settings.log)
        if store_config:  # before the card is sent: a wrong setting must not leave it in the outbox
            store = load(CloudSettings, store_config, {}).store
        report = asdict(edge.run(settings, wait=wait))
    if store:
        from face_app.cloud.bucket import verify as cloud  # noqa: PLC0415

        report["url"] = cloud.run(store, report["key"], report["sha256"], wait=wait)
    typer.echo(json.dumps(report) if as_json else "\n".join(f"{name}: {value}" for name, value in report.items()))


def health(
    *,
    config: Config = None,
    live: Annotated[
        bool, typer.Option("--live", help="Ignore causes elsewhere: a camera that is off, a cloud that is down.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the health of the running program; if it is not ready, exit 1 and print the reason."""
    state = fetch_health(load(HealthSettings, config, {}).metrics)
    if as_json:
        typer.echo(json.dumps(state.document()))
    if not (state.live if live else state.ready):
        raise FaceAppError(state.reason)


def check(*, program: Annotated[Program, typer.Argument()], config: Config = None) -> None:
    """Validate the settings of a program; if one is wrong, exit 2 and name it."""
    settings = load(_MODELS[program], config, {})
    if isinstance(settings, GallerySettings) and settings.notifications.urls_file:
        from face_app.cloud.notifications.services import read_services  # noqa: PLC0415

        read_services(settings.notifications.urls_file)


def contact_sheet(
    sheet: Annotated[Path, typer.Argument(help="PNG file to write.")],
    faces: Annotated[list[Path], typer.Argument(help="Images of faces.")],
) -> None:
    """Draw many faces on one picture, with the time and camera of each."""
    from face_app.common.contact_sheet import draw  # noqa: PLC0415

    draw(faces, sheet)
