"""Turn frames into shots and visits. Every stage takes and returns plain values.

=====================  ================================================
zones                  blacken private areas, select where faces count
gate                   decide on which frames the detector runs
camera motion          follow a shift of the picture, withhold a flash
scan, detector         find faces in one frame, large and small
tracker                join the faces of successive frames into tracks
quality, best shots    score each face, select the shots of a visit
=====================  ================================================
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from face_app.common.settings import EdgeSettings
from face_app.edge import metrics
from face_app.edge.outbox.records import Visit
from face_app.edge.sources.frame import Frame, Source
from face_app.edge.vision.best_shot import BestShots, Shot
from face_app.edge.vision.camera_motion import CameraMotionDetector
from face_app.edge.vision.detectors.load import load_detector
from face_app.edge.vision.face_mesh import load_face_mesh
from face_app.edge.vision.gate import Gate
from face_app.edge.vision.motion import Mask, thumbnail
from face_app.edge.vision.scan import Scan
from face_app.edge.vision.tracker import EndedTrack, Tracker
from face_app.edge.vision.zones import Zones


@dataclass(frozen=True)
class PipelineResult:
    """Contains the shots and visits that one frame, or the end of the source, led to.

    Attributes:
        shots: Selected pictures.
        visits: Visits that have ended.
    """

    shots: tuple[Shot, ...] = ()
    visits: tuple[Visit, ...] = ()

    def __add__(self, later: "PipelineResult") -> "PipelineResult":
        """Return both results as one."""
        return PipelineResult(self.shots + later.shots, self.visits + later.visits)


class VisionPipeline:
    """Runs all stages for one camera.

    Attributes:
        detector: Name of the detector.
        detector_runs: Number of frames on which the detector ran.
        visits: Number of visits that have ended.
    """

    def __init__(self, settings: EdgeSettings) -> None:
        """Load the detector and prepare the other stages.

        Raises:
            DetectorError: The detector cannot be loaded.
        """
        self.detector_runs = 0
        self.visits = 0
        self._zones = Zones(settings.zones)
        self._gate = Gate(settings.gate, limit_cpu=settings.camera.pace != "fast")
        self._camera_motion = CameraMotionDetector()
        self._withheld: Frame | None = None
        detector = load_detector(settings.detector)
        self._scan = Scan(detector, settings.detector.score)
        mesh = load_face_mesh() if settings.shot.check else None
        self._tracker = Tracker(mesh)
        self._best_shots = BestShots(settings.camera.name, settings.shot, settings.crop, mesh)
        self.detector = detector.name

    @property
    def interval(self) -> float:
        """Return the seconds until the next frame is needed."""
        return self._gate.interval

    def process(self, frame: Frame) -> PipelineResult:
        """Process the next frame, and blacken the privacy zones in its image."""
        self._zones.blacken(frame.image)
        return self._process_photo(frame) if frame.independent else self._process_frame(frame)

    def _process_photo(self, photo: Frame) -> PipelineResult:
        """Process a frame that continues no other: what is open ends before it, and no later frame continues it."""
        earlier = self.finish()
        self._camera_motion = CameraMotionDetector()
        return earlier + self._detect(photo, [])

    def _process_frame(self, frame: Frame) -> PipelineResult:
        elapsed = frame.elapsed
        small = thumbnail(frame.image)
        if not self._gate.should_detect(small, elapsed):
            self._tracker.skip(elapsed)
            self._camera_motion.skip(elapsed)
            return PipelineResult()
        motion = self._camera_motion.update(small, elapsed)
        if motion.kind == "transient":
            self._withhold(frame)
            return PipelineResult()
        earlier = PipelineResult()
        if motion.kind == "late-cut" and self._withheld:
            earlier = self._detect_withheld(self._withheld, self._tracker.cut())
            motion = self._camera_motion.update(small, elapsed)
        self._withheld = None
        self._tracker.shift(motion.dx, motion.dy)
        ended_before = self._tracker.cut() if motion.kind == "cut" else []
        return earlier + self._detect(frame, ended_before, self._gate.moving)

    def _withhold(self, frame: Frame) -> None:
        """Store a transient frame until the next one shows whether it was a flash or the first of another scene.

        After a flash, the scene from before is back, and the withheld frame is dropped: it would end all tracks.
        """
        self._withheld = replace(frame, image=frame.image.copy())  # the source may reuse its memory
        self._gate.request_frames(frame.elapsed)

    def _detect_withheld(self, withheld: Frame, ended_before: list[EndedTrack]) -> PipelineResult:
        """Process the withheld frame as the first one of another scene."""
        self._withheld = None
        return self._detect(withheld, ended_before)

    def _detect(self, frame: Frame, ended_before: list[EndedTrack], moving: Mask | None = None) -> PipelineResult:
        """Run the detector and all later stages on a frame.

        Args:
            frame: The frame.
            ended_before: Tracks that have ended before it.
            moving: Pixels that move; None if they are not known.
        """
        image = frame.image
        elapsed = frame.elapsed
        started = time.thread_time()
        if frame.independent:
            found = self._scan.detect_photo(image)
        else:
            expected = self._tracker.expected(elapsed)
            found = self._scan.detect(image, elapsed, expected, moving, self._gate.affordable)
        detections = [each for each in found if self._zones.contains(each.box, image)]
        faces, lost = self._tracker.update(detections, elapsed, image)
        ended = [*ended_before, *lost]
        if frame.independent:
            ended += self._tracker.finish()
        shots = self._best_shots.update(frame, faces)
        final_shots, visits = self._best_shots.finish_visits(ended)
        self.detector_runs += 1
        self.visits += len(visits)
        metrics.DETECTOR_RUNS.inc()
        pending = self._best_shots.has_pending(elapsed) or self._tracker.has_lost
        cpu = (time.thread_time() - started) / self._scan.reads  # of one whole frame or tile, the unit of the gate
        self._gate.record_detection(pending=pending, complete=self._scan.complete, cpu=cpu, elapsed=elapsed)
        return PipelineResult((*shots, *final_shots), tuple(visits))

    def finish(self) -> PipelineResult:
        """End every visit, because no frame follows. A withheld frame counts as the first one of another scene."""
        ended = self._tracker.finish()
        earlier = PipelineResult()
        if self._withheld:
            earlier = self._detect_withheld(self._withheld, ended)
            ended = self._tracker.finish()
        shots, visits = self._best_shots.finish_visits(ended)
        self.visits += len(visits)
        return earlier + PipelineResult(tuple(shots), tuple(visits))


@contextmanager
def run_pipeline(
    source: Source, pipeline: VisionPipeline, on_end: Callable[[PipelineResult], object]
) -> Iterator[Iterator[tuple[Frame, PipelineResult]]]:
    """Process the frames of a source, at the rate that the pipeline needs.

    Before a result is yielded, the source gets its next interval. At the end of the `with` block the open visits end,
    and `on_end` receives their shots. The block may end after the last frame, with `break`, or with an error of the
    source, the pipeline or the caller. A generator alone would not know of a `break`. ::

        with run_pipeline(source, pipeline, commit) as results:
            for frame, result in results:
                commit(result)

    Args:
        source: Open source.
        pipeline: Pipeline that processes each frame.
        on_end: Receives the result of `VisionPipeline.finish`, once; never if that raises an error.

    Yields:
        Each frame with its result.

    Raises:
        SourceError: The source cannot be decoded; `on_end` has been called by then.
    """
    try:
        yield _results(source, pipeline)
    finally:
        on_end(pipeline.finish())


def _results(source: Source, pipeline: VisionPipeline) -> Iterator[tuple[Frame, PipelineResult]]:
    for frame in source:
        result = pipeline.process(frame)
        source.interval = pipeline.interval
        yield frame, result
