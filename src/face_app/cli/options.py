"""Define the options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

Config = Annotated[Path | None, typer.Option(help="TOML settings file; FACE_APP_CONFIG names it too.")]
BrokerAddress = Annotated[str | None, typer.Option(metavar="HOST[:PORT]", help="Broker; for IPv6: [::1]:1883.")]
OutboxPath = Annotated[Path | None, typer.Option(help="SQLite file of the outbox.")]
EdgeName = Annotated[str | None, typer.Option(help="Name of this box.")]
DetectorName = Annotated[str | None, typer.Option(help="yunet, or haar as in the original homework.")]
DetectorModel = Annotated[Path | None, typer.Option(help="YuNet ONNX file of known SHA-256.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]


def broker_overrides(address: str | None) -> dict[str, Any]:
    """Return the settings that ``--broker`` overrides, by dotted name."""
    name, _, port = (address or "").rpartition(":")
    # An IPv6 address contains colons itself, so a port can follow it only after brackets.
    if port.isdigit() and name and (":" not in name or name.endswith("]")):
        return {"broker.host": name.strip("[]"), "broker.port": port}
    return {"broker.host": address.strip("[]") if address else None}
