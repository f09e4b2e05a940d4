"""Define the commands of the cloud: subscribe, audit, bucket ensure, bucket check, bucket list, bucket url."""

import json
import logging
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from face_app.cli.options import AsJson, BrokerAddress, Config, broker_overrides
from face_app.common.errors import AuditError, StoreError, UnprovenError
from face_app.common.ledger_file import open_ledgers
from face_app.common.log import log_to_stderr
from face_app.common.rights import Right
from face_app.common.settings import CloudSettings, load

if TYPE_CHECKING:
    from face_app.cloud.audit.report import AuditReport
    from face_app.common.settings import Store

log = logging.getLogger(__name__)

# Each command imports its program when it runs, because the image of the edge has no boto3.

bucket = typer.Typer(no_args_is_help=True, help="Create and inspect the bucket.")


def subscribe(
    *,
    config: Config = None,
    broker: BrokerAddress = None,
    store: Annotated[Path | None, typer.Option(help="Store faces in this plain folder; created if missing.")] = None,
) -> None:
    """Store the faces that the broker delivers, and publish receipts."""
    from face_app.cloud.subscriber import subscribe as program  # noqa: PLC0415

    folder = {"store.kind": "directory", "store.path": store} if store else {}
    settings = load(CloudSettings, config, {**folder, **broker_overrides(broker)})
    log_to_stderr(settings.log)
    if store:
        from face_app.cloud.bucket.operations import ensure  # noqa: PLC0415

        ensure(settings.store, check=False)
    program.run(settings)


def audit(  # noqa: PLR0913
    *,
    config: Config = None,
    ledger: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Output of `face-app ledger` at an edge; -: stdin.")
    ] = None,
    edge: Annotated[str | None, typer.Option(help="Only faces of this edge.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Only faces captured at this time or later.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Only faces captured before this time.")
    ] = None,
    renamed: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="The edge NEW was called OLD: count faces of both names as one edge's."),
    ] = None,
    content: Annotated[bool, typer.Option("--content/--no-content", help="Read and compare every object.")] = True,
    publish: Annotated[
        bool, typer.Option("--publish", help="Leave the report about each edge in the bucket, for the gallery.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Prove that no face was lost: captured = stored + waiting + refused + expired + erased, face by face.

    If no ledger is given, the audit checks the bucket alone: gaps in the numbers, duplicates, changed bytes. It ends
    with 0 if no face can be lost unnamed, with 9 on a fault, with 10 if it found no fault and cannot prove the rest.
    Times are ISO 8601, such as 2026-11-22 or 2026-11-22T18:30:00+01:00; the default zone is UTC. The audit changes
    nothing; `--publish` writes `audits/<edge>.json`.
    """
    from face_app.cloud.audit import audit as program  # noqa: PLC0415
    from face_app.cloud.audit.scope import scope_between  # noqa: PLC0415
    from face_app.cloud.audit.table import table  # noqa: PLC0415

    settings = load(CloudSettings, config, {})
    scope = scope_between(edge, since, until, renamed or [])
    log_to_stderr(settings.log)
    with open_ledgers(ledger or []) as ledgers:
        report = program.run(settings.store, ledgers, scope, content=content, bucket=settings.bucket)
    typer.echo(json.dumps(report.document()) if as_json else table(report))
    failure = _published(settings.store, report, scope.edge) if publish else None
    if not report.balanced:
        raise AuditError(report.verdict) from failure
    if failure:
        raise failure
    if not report.proven:
        raise UnprovenError(report.verdict)


def _published(store: "Store", report: "AuditReport", edge: str | None) -> StoreError | None:
    """Leave the reports in the bucket; return the failure, because a fault of the audit outweighs it."""
    from face_app.cloud.audit.report_object import dump_reports  # noqa: PLC0415
    from face_app.cloud.bucket.operations import writer  # noqa: PLC0415

    write = writer(store)
    try:
        for key, data in dump_reports(report, edge, datetime.now(timezone.utc)):
            write(key, data)
    except StoreError as error:
        log.warning("the report is not published: %s", error)
        return error
    return None


@bucket.command("ensure")
def bucket_ensure(
    *,
    config: Config = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing, and write no object.")] = False,
    faces_key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Key pair of the subscriber: try whether it may write, read and list."),
    ] = None,
) -> None:
    """Create the bucket if it is missing; set its access and expiry.

    Prints each change on a line, then `changed` or `ok`.
    """
    from face_app.cloud.bucket.operations import ensure  # noqa: PLC0415
    from face_app.cloud.bucket.try_rights import refuse_missing, try_rights  # noqa: PLC0415

    settings = load(CloudSettings, config, {})
    log_to_stderr(settings.log)
    changes = ensure(settings.store, settings.bucket, check=check)
    for line in changes:
        typer.echo(line)
    if faces_key and not check:
        store = settings.store.model_copy(update={"credentials_file": faces_key})
        needed = [Right.WRITE, Right.READ, Right.LIST]
        refuse_missing(store, try_rights(store, needed), needed)
    typer.echo("changed" if changes else "ok")


@bucket.command("check")
def bucket_check(
    *,
    config: Config = None,
    needs: Annotated[
        list[Right] | None, typer.Option(help="A right that the key must have; repeat it. Default: all four.")
    ] = None,
) -> None:
    """Write, read, list and delete with the key pair of the settings, and name what the store refuses.

    Prints a line per right. A read-only key needs `--needs read --needs list`; without `--needs write`, nothing is
    written. The object `test/rights` is deleted again if the key may.
    """
    from face_app.cloud.bucket.try_rights import refuse_missing, try_rights  # noqa: PLC0415

    needed = needs or list(Right)
    store = load(CloudSettings, config, {}).store
    trials = try_rights(store, needed)
    for trial in trials:
        answer = f"refused ({trial.refusal})" if trial.refusal else "allowed"
        typer.echo(f"{trial.right.value}: {answer}{'' if trial.right in needed else ', not needed'}")
    refuse_missing(store, trials, needed)


@bucket.command("list")
def bucket_list(
    prefix: Annotated[str, typer.Argument(help="Only keys with this prefix.")] = "", *, config: Config = None
) -> None:
    """Print the keys in the bucket, one per line."""
    from face_app.cloud.bucket.operations import keys as list_keys  # noqa: PLC0415

    store = load(CloudSettings, config, {}).store
    for key in list_keys(store, prefix):
        typer.echo(key)


@bucket.command("url")
def bucket_url(
    keys: Annotated[list[str], typer.Argument(help="Keys of objects.")],
    *,
    config: Config = None,
    minutes: Annotated[int, typer.Option(min=1, max=60, help="Minutes until the links expire.")] = 60,
) -> None:
    """Print a presigned link for each object; a link needs no credentials."""
    from face_app.cloud.bucket.operations import urls  # noqa: PLC0415

    store = load(CloudSettings, config, {}).store
    for url in urls(store, keys, seconds=minutes * 60):
        typer.echo(url)
