"""Audits a chain with `face-app audit` and the ledger of each outbox."""

from dataclasses import dataclass

from face_app.common.errors import AuditError
from face_app.common.ledger_file import open_ledgers
from faults.world import World
from support.chain import EDGE

AUDIT_SECONDS = 1800


@dataclass(frozen=True)
class Verdict:
    """Contains the answer of the audit.

    Attributes:
        balanced: True if it ended with 0: no face is lost.
        table: What it printed.
        named: Id and SHA-256 of each face that a ledger calls refused, expired or erased, with a reason.
    """

    balanced: bool
    table: str
    named: frozenset[tuple[str, str]]


def audit(running: World, *, attempts: int = 1) -> Verdict:
    """Run the audit with the ledger of each outbox; `attempts` as for `World.drain`."""
    files: list[str] = []
    for number, _ in enumerate(running.outboxes):
        file = running.home / f"ledger-{number}"
        ledger = ("ledger", "--config", running.home / f"edge-{number}.toml")
        file.write_text(running.face_app(*ledger, attempts=attempts).stdout)
        files.append(str(file))
    options = [part for file in files for part in ("--ledger", file)]
    config = ["--config", str(running.home / "audit.toml")]
    if "attacker" in running.helpers:
        config += ["--edge", EDGE]  # the attacker gives no ledger
    done = running.face_app("audit", *config, *options, seconds=AUDIT_SECONDS, ends=(0, AuditError.exit_code))
    with open_ledgers(files) as ledgers:
        entries = [entry for ledger in ledgers for entry in ledger.entries]
    named = {(str(each.id), each.sha256) for each in entries if each.state in {"refused", "expired", "erased"}}
    return Verdict(not done.returncode, done.stdout + done.stderr, frozenset(named))
