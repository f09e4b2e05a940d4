"""Implement `face-app capture --dry-run`: write the shots into a folder, without outbox and broker."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from face_app.common.errors import SettingsError
from face_app.common.metadata import write_metadata
from face_app.common.settings import EdgeSettings
from face_app.common.wire import FaceId
from face_app.edge.commands.progress import Progress, interval_of
from face_app.edge.commands.stop import stop_on_signals
from face_app.edge.image import set_up_opencv
from face_app.edge.outbox.records import Visit
from face_app.edge.sources.open_source import open_source
from face_app.edge.vision.best_shot import Shot
from face_app.edge.vision.encode import encode_face
from face_app.edge.vision.pipeline import PipelineResult, VisionPipeline, run_pipeline

NO_OUTBOX = "00000000"
"""Outbox id in the face ids of a dry run, which has no outbox."""


@dataclass(frozen=True)
class DryRunShot:
    """Describes one shot as plain JSON values.

    Attributes:
        file: Path of its image.
        track: Number of its visit, from 1.
        why: ``first``, ``better``, ``final`` or ``only``.
        score: Quality of the shot, 0 to 1.
        first_frame: Index of the first frame of the visit.
        last_frame: Index of the latest frame with this face when the shot was selected.
        frame: Index of the frame of the shot.
        box: x1, y1, x2, y2 of the face in that frame, pixels.
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
class DryRunVisit:
    """Describes one visit as plain JSON values.

    Attributes:
        track: Its number, from 1.
        seconds: Time from its first to its last detection.
        detections: Number of detections.
        shots: Number of its shots.
        dismissed: Reason for which it has no shot; otherwise empty.
    """

    track: int
    seconds: float
    detections: int
    shots: int
    dismissed: str


@dataclass(frozen=True)
class DryRunSummary:
    """Summarises a dry run as plain JSON values.

    Attributes:
        frames: Number of frames that were read.
        detected: Number of frames on which the detector ran.
        tracks: Number of visits.
        shots: Shots that a capture would have committed.
        visits: Visits that have ended, in the order of their ends.
        cpu_seconds: CPU seconds of all threads, from the start of the run.
        seconds: Duration of the run, seconds.
    """

    frames: int
    detected: int
    tracks: int
    shots: list[DryRunShot]
    visits: list[DryRunVisit]
    cpu_seconds: float
    seconds: float


def run(settings: EdgeSettings, folder: Path) -> DryRunSummary:
    """Detect faces and write the selected shots into a folder until the source ends or a signal arrives.

    Args:
        settings: Settings of the edge; outbox and broker are not used.
        folder: Created if it is missing. Files of an earlier run are overwritten.

    Raises:
        SettingsError: The folder cannot be written.
        SourceError: The source cannot be opened or decoded.
        DetectorError: The detector cannot be loaded.
    """
    started = time.monotonic()
    cpu_before = time.process_time()
    set_up_opencv()
    shots: list[DryRunShot] = []
    visits: list[DryRunVisit] = []
    with _errors_name(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with stop_on_signals() as stop, open_source(settings.camera, stop) as source:
        pipeline = VisionPipeline(settings)
        progress = Progress(source.length, interval_of(source), lambda: f"visits {pipeline.visits}, shots {len(shots)}")

        def add(result: PipelineResult) -> None:
            visits.extend(_describe(visit) for visit in result.visits)
            shots.extend(_save(result.shots, settings, pipeline.detector, folder, len(shots)))

        with run_pipeline(source, pipeline, add) as results:
            for _, result in results:
                add(result)
                progress.update(source.count)
                if settings.camera.stop_after and len(shots) >= settings.camera.stop_after:
                    break
        frames = source.count
    seconds = round(time.monotonic() - started, 3)
    return DryRunSummary(
        frames=frames,
        detected=pipeline.detector_runs,
        tracks=pipeline.visits,
        shots=shots,
        visits=visits,
        cpu_seconds=round(time.process_time() - cpu_before, 3),
        seconds=seconds,
    )


@contextmanager
def _errors_name(folder: Path) -> Iterator[None]:
    """Turn an error of a write into one that names the folder."""
    try:
        yield
    except OSError as error:
        raise SettingsError(f"--dry-run {folder}: {error.strerror}; name a folder that can be written") from error


def _describe(visit: Visit) -> DryRunVisit:
    seconds = (visit.last_at - visit.first_at).total_seconds()
    return DryRunVisit(visit.track, round(seconds, 3), visit.looks, visit.shots, visit.dismissed)


def _save(shots: Sequence[Shot], settings: EdgeSettings, detector: str, folder: Path, saved: int) -> list[DryRunShot]:
    """Write shots as files; `saved` shots have a file already."""
    written: list[DryRunShot] = []
    if settings.camera.stop_after:
        shots = shots[: settings.camera.stop_after - saved]
    for number, shot in enumerate(shots, saved + 1):
        face = encode_face(shot, settings, detector, "dry-run")
        file = folder / f"{number:04d}-track-{shot.track:03d}-{shot.why}.{face.image.suffix}"
        data = write_metadata(face.image.data, FaceId(NO_OUTBOX, number), face.metadata)
        with _errors_name(folder):
            file.write_bytes(data)
        x1, y1, x2, y2 = (round(edge, 1) for edge in shot.candidate.detection.box)
        written.append(
            DryRunShot(
                file=str(file),
                track=shot.track,
                why=shot.why,
                score=round(shot.candidate.quality.score, 4),
                first_frame=shot.first_frame,
                last_frame=shot.last_frame,
                frame=shot.candidate.frame,
                box=(x1, y1, x2, y2),
            )
        )
    return written
