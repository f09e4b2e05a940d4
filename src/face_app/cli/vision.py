"""The commands that need eyes only: `face-app detect`, and `face-app capture --dry-run`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from face_app.cli.bucket import Config
from face_app.common.log import log_to_stderr
from face_app.common.settings import EdgeSettings, load


def detect(  # noqa: PLR0913
    files: Annotated[list[Path], typer.Argument(help="Photos.")],
    *,
    config: Config = None,
    detector: Annotated[str | None, typer.Option(help="yunet, or the write-up's haar.")] = None,
    model: Annotated[Path | None, typer.Option(help="A YuNet ONNX file of known SHA-256.")] = None,
    score: Annotated[float | None, typer.Option(help="Least confidence of a face, 0 to 1.")] = None,
    width: Annotated[int | None, typer.Option(help="Photos are scaled to this width first.")] = None,
    draw: Annotated[Path | None, typer.Option(metavar="DIR", help="Put copies with the faces drawn in there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a photo on standard output.")] = False,
) -> None:
    """Show which faces the detector finds in photos. Nothing is sent or kept.

    In the copies of --draw a green face would begin a visit, a red one only continue one.
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


def rehearse(settings: EdgeSettings, folder: Path, *, as_json: bool) -> None:
    """Run the pipeline without a broker, and say what it chose."""
    from face_app.edge.commands import dry_run as program  # noqa: PLC0415

    rehearsal = program.run(settings, folder)
    if as_json:
        typer.echo(json.dumps(asdict(rehearsal)))
        return
    for shot in rehearsal.shots:
        typer.echo(f"{shot.file}  {shot.why}, quality {shot.score:.2f}, frame {shot.frame}")
    share = 100 * rehearsal.cpu_seconds / max(rehearsal.seconds, 1e-3)
    typer.echo(
        f"{rehearsal.frames} frames, looked for faces in {rehearsal.detected}: {rehearsal.tracks} visits, "
        f"{len(rehearsal.shots)} shots in {folder}; {rehearsal.cpu_seconds:.1f} s of CPU in {rehearsal.seconds:.1f} s "
        f"({share:.0f} % of a core)"
    )
