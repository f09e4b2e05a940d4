"""The commands of `face-app bucket`."""

from pathlib import Path
from typing import Annotated

import typer

from face_app.common.log import log_to_stderr
from face_app.common.settings import CloudSettings, load

Config = Annotated[Path | None, typer.Option(help="TOML settings file; FACE_APP_CONFIG names it too.")]

bucket_app = typer.Typer(no_args_is_help=True, help="The bucket itself.")


@bucket_app.command("ensure")
def bucket_ensure(
    *, config: Config = None, check: Annotated[bool, typer.Option("--check", help="Change nothing.")] = False
) -> None:
    """Create the bucket where it is missing, see to who may read it and how long it keeps faces.

    Prints each change on a line, then `changed` or `ok`.
    """
    from face_app.cloud.bucket import bucket as program  # noqa: PLC0415

    settings = load(CloudSettings, config, {})
    log_to_stderr(settings.log)
    changes = program.ensure(settings.store, settings.bucket, check=check)
    for words in [*changes, "changed" if changes else "ok"]:
        typer.echo(words)


@bucket_app.command("list")
def bucket_list(
    prefix: Annotated[str, typer.Argument(help="Only keys that begin so.")] = "", *, config: Config = None
) -> None:
    """Print the keys in the bucket, one a line."""
    from face_app.cloud.bucket import bucket as program  # noqa: PLC0415

    store = load(CloudSettings, config, {}).store
    for key in program.keys(store, prefix):
        typer.echo(key)


@bucket_app.command("url")
def bucket_url(
    keys: Annotated[list[str], typer.Argument(help="Keys of objects.")],
    *,
    config: Config = None,
    minutes: Annotated[int, typer.Option(min=1, max=60, help="How long the links open.")] = 60,
) -> None:
    """Print a link for each object that opens it for a while, whoever follows it."""
    from face_app.cloud.bucket import bucket as program  # noqa: PLC0415

    store = load(CloudSettings, config, {}).store
    for url in program.urls(store, keys, seconds=minutes * 60):
        typer.echo(url)
