"""Define the commands of the gallery: gallery, gallery-password, notify-test."""

from getpass import getpass
from typing import Annotated

import typer

from face_app.cli.options import BrokerAddress, Config, broker_overrides
from face_app.common.errors import SettingsError
from face_app.common.log import log_to_stderr
from face_app.common.settings import GallerySettings, load


def gallery(
    *,
    config: Config = None,
    broker: BrokerAddress = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; others than 127.0.0.1 need TLS and users.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Show the stored faces on web pages, to browsers on this host; to others only with TLS and a login."""
    from face_app.cloud.gallery import serve as program  # noqa: PLC0415

    settings = load(GallerySettings, config, {"host": host, "port": port, **broker_overrides(broker)})
    log_to_stderr(settings.log)
    program.run(settings)


def gallery_password() -> None:
    """Ask for a password, and print the value that the file of the gallery's users contains."""
    from face_app.cloud.gallery.access.users import MAX_LENGTH, MIN_LENGTH, hash_password  # noqa: PLC0415

    password = getpass("Password: ")
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise SettingsError(f"the password has {len(password)} characters; choose {MIN_LENGTH} to {MAX_LENGTH}")
    typer.echo(hash_password(password))


def notify_test(*, config: Config = None) -> None:
    """Send one drawn picture to every service of notifications.urls_file, and print the result of each.

    If one does not accept it, the command ends with 8.
    """
    from face_app.cloud.notifications import trial  # noqa: PLC0415

    settings = load(GallerySettings, config, {})
    log_to_stderr(settings.log)
    for line in trial.run(settings):
        typer.echo(line)
