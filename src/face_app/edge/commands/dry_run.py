"""`face-app capture --dry-run`: the whole pipeline without outbox and broker; the chosen shots go into a folder."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from face_app.common.errors import SettingsError
from face_app.common.metadata import write_metadata
from face_app.common.settings import EdgeSettings
from face_app.common.wire import FaceId
from face_app.edge.commands.progress import Progress
from face_app.edge.commands.stop import stop_on_signals
from face_app.edge.image import set_up_opencv
from face_app.edge.sources.open_source import open_source
from face_app.edge.vision.best_shot import Shot
from face_app.edge.vision.encode import encode_face
from face_app.edge.vision.pipeline import VisionPipeline

NO_OUTBOX = "00000000"
"""Stands in the ids of faces that no outbox has numbered."""


@dataclass(frozen=True)
class DryRunShot:
    """One shot, in plain JSON values.

    Attributes:
        file: Where it is.
        track: Number of its visit.
        why: ``first``, ``better`` or ``final``.
        score: Its quality, 0 to 1.
        first_frame: Index of the frame in which the visit began.
        last_frame: Index of the frame of the latest look at it when the shot was chosen.
        frame: Index of the frame that the shot is from.
        box: x1, y1, x2, y2 of the face there, pixels.
    """

    file: str
    track: int
    why: str
    score: float
    first_frame: int
    last_frame: int
    frame: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class DryRun:
    """What a dry run did.

    Attributes:
        frames: Frames that came.
        detected: Frames in which faces were looked for.
        tracks: Visits.
        shots: What would have been captured.
        cpu_seconds: CPU time of the run, all threads; the detector's loading with it, Python's start without.
        seconds: How long the run took.
    """

    frames: int
    detected: int
    tracks: int
    shots: list[DryRunShot]
    cpu_seconds: float
    seconds: float


def run(settings: EdgeSettings, folder: Path) -> DryRun:
    """See faces and write the chosen shots into a folder, until the source ends, or a signal comes.

    Args:
        settings: Of the edge; outbox and broker are left alone.
        folder: Is made where it is missing. Files of an earlier run are written over.

    Raises:
        SettingsError: The folder cannot be written.
        SourceError: The source cannot be opened or decoded.
        DetectorError: The detector cannot be loaded.
    """
    started, spent = time.monotonic(), time.process_time()
    set_up_opencv()
    shots: list[DryRunShot] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with stop_on_signals() as stop, open_source(settings.camera, stop) as source:
            eyes = VisionPipeline(settings)
            progress = Progress(
                source.length, 60 if source.live else 1, lambda: f"visits {eyes.visits}, shots {len(shots)}"
            )
            for frame in source:
                seen = eyes.process(frame)
                source.interval = eyes.interval
                shots += _write(seen.shots, settings, eyes.detector, folder, len(shots))
                progress.reached(source.count)
                if settings.camera.stop_after and len(shots) >= settings.camera.stop_after:
                    break
            shots += _write(eyes.finish().shots, settings, eyes.detector, folder, len(shots))
            frames = source.count
    except OSError as error:
        raise SettingsError(f"--dry-run {folder}: {error.strerror}; name a folder that can be written") from error
    seconds = round(time.monotonic() - started, 3)
    return DryRun(frames, eyes.detector_runs, eyes.visits, shots, round(time.process_time() - spent, 3), seconds)


def _write(shots: Sequence[Shot], settings: EdgeSettings, detector: str, folder: Path, before: int) -> list[DryRunShot]:
    written = []
    most = settings.camera.stop_after
    for number, shot in enumerate(shots[: most - before] if most else shots, before + 1):
        face = encode_face(shot, settings, detector)
        file = folder / f"{number:04d}-track-{shot.track:03d}-{shot.why}.{face.image.suffix}"
        file.write_bytes(write_metadata(face.image.data, FaceId(NO_OUTBOX, number), face.metadata))
        x1, y1, x2, y2 = (round(edge, 1) for edge in shot.candidate.detection.box)
        written.append(
            DryRunShot(
                str(file),
                shot.track,
                shot.why,
                round(shot.candidate.quality.score, 4),
                shot.first_frame,
                shot.last_frame,
                shot.candidate.frame,
                (x1, y1, x2, y2),
            )
        )
    return written
