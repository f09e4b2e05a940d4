"""Assemble the command line, and end each run with an exit code that identifies the cause."""

import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Annotated

import typer

from face_app import __version__
from face_app.cli import checks, cloud, edge, erasure, gallery
from face_app.common.errors import FaceAppError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A camera sees a face; that face becomes one object in a bucket, exactly once.",
    epilog="Exit codes: 0 done, 2 wrong setting or usage, 3 source or detector, 4 outbox, 5 broker refuses, "
    "6 store, 7 faces still wait, 8 not verified, 9 the audit found a fault, 10 it found none and proved only a part, "
    "1 anything else.",
)
COMMANDS: tuple[Callable[..., None], ...] = (
    *(edge.capture, edge.detect, edge.send, edge.ledger, edge.retry),
    *(cloud.subscribe, cloud.audit, erasure.erase, erasure.export),
    gallery.gallery,
    *(checks.verify, checks.health, checks.check),
)
for command in COMMANDS:
    app.command()(command)
app.command("gallery-password")(gallery.gallery_password)
app.command("notify-test")(gallery.notify_test)
app.command("contact-sheet")(checks.contact_sheet)
app.add_typer(cloud.bucket, name="bucket")


@app.callback(invoke_without_command=True)
def version(*, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Print the version on request."""
    if version:
        typer.echo(f"face-app {__version__}")
        raise typer.Exit


def main() -> None:
    """Run a command; print the message of a `FaceAppError`, and exit with its code."""
    try:
        app()
    except FaceAppError as error:
        sys.stderr.write(f"face-app: {error}\n")
        _end(error.exit_code)
    except SystemExit as end:
        _end(end.code)


def _end(code: str | int | None) -> None:
    """End the process, even if another thread is blocked.

    A read from a camera or from a dead mount can block a thread in C++ for ever. A normal interpreter shutdown would
    end in SIGABRT as soon as that thread returns.
    """
    other_threads = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    if not other_threads or not isinstance(code, int):
        sys.exit(code)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
