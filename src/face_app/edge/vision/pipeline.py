"""Turns frames into shots and visits. Every stage takes and returns plain values.

=====================  ================================================
zones                  blacken private areas, select where faces count
gate                   decides which frames the detector gets
detector               finds faces in one frame
tracker                joins the faces of successive frames into tracks
quality, best shots    score each face, select the shots of a visit
=====================  ================================================
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from face_app.common.settings import EdgeSettings
from face_app.edge import metrics
from face_app.edge.outbox.records import Visit
from face_app.edge.sources.frame import Frame, Source
from face_app.edge.vision.best_shot import BestShots, Shot
from face_app.edge.vision.detectors.load import load_detector
from face_app.edge.vision.gate import Gate
from face_app.edge.vision.tracker import Tracker
from face_app.edge.vision.zones import Zones


@dataclass(frozen=True)
class PipelineResult:
    """Carries what one frame, or the end of the source, led to.

    Attributes:
        shots: Pictures that were selected.
        visits: Visits that have ended.
    """

    shots: tuple[Shot, ...] = ()
    visits: tuple[Visit, ...] = ()


class VisionPipeline:
    """Runs all stages for one camera.

    Attributes:
        detector: Name of the detector.
        detector_runs: Frames in which the detector ran.
        visits: Confirmed visits that have ended.
    """

    def __init__(self, settings: EdgeSettings) -> None:
        """Load the detector and prepare the other stages.

        Raises:
            DetectorError: The detector cannot be loaded.
        """
        self.detector_runs = 0
        self.visits = 0
        self._zones = Zones(settings.zones)
        self._gate = Gate(settings.gate, budget=settings.camera.pace != "fast")
        self._detector = load_detector(settings.detector)
        self._tracker = Tracker(settings.detector.score)
        self._best = BestShots(settings.camera.name, settings.shot, settings.crop)
        self.detector = self._detector.name

    @property
    def interval(self) -> float:
        """Return the seconds until the next frame is needed."""
        return self._gate.interval

    def process(self, frame: Frame) -> PipelineResult:
        """Process the next frame, and blacken the privacy zones in its image."""
        image, elapsed = frame.image, frame.elapsed
        self._zones.blacken(image)
        if not frame.alone and not self._gate.opens(image, elapsed):
            self._tracker.idle(elapsed)
            return PipelineResult()
        began = time.thread_time()
        detections = [each for each in self._detector.detect(image) if self._zones.hold(each.box, image)]
        sightings, ends = self._tracker.update(detections, elapsed)
        if frame.alone:
            ends += self._tracker.close()
        shots = self._best.see(frame, sightings)
        late, visits = self._best.end(ends)
        self.detector_runs += 1
        self.visits += len(visits)
        metrics.DETECTOR_RUNS.inc()
        news = self._best.news(elapsed) or self._tracker.missing
        self._gate.told(news=news, cpu=time.thread_time() - began, elapsed=elapsed)
        return PipelineResult((*shots, *late), tuple(visits))

    def finish(self) -> PipelineResult:
        """End every visit: no frame follows."""
        shots, visits = self._best.end(self._tracker.close())
        self.visits += len(visits)
        return PipelineResult(tuple(shots), tuple(visits))


@contextmanager
def run_pipeline(
    source: Source, pipeline: VisionPipeline, finish: Callable[[PipelineResult], object]
) -> Iterator[Iterator[tuple[Frame, PipelineResult]]]:
    """Process the frames of a source, at the rate that the pipeline needs.

    Before a result is yielded, the source gets its next interval. The visits that are still open end with the `with`
    block, and `finish` receives their shots. It does so whatever ends the block: the last frame, `break`, or an error
    of the source, the pipeline or the caller. A plain generator could not deliver them after `break`. ::

        with run_pipeline(source, pipeline, commit) as results:
            for frame, result in results:
                commit(result)

    Args:
        source: An open source.
        pipeline: Processes each frame.
        finish: Receives the result of `VisionPipeline.finish`, exactly once.

    Yields:
        Each frame with its result.

    Raises:
        SourceError: The source cannot be decoded; `finish` has been called before.
    """
    try:
        yield _results(source, pipeline)
    finally:
        finish(pipeline.finish())


def _results(source: Source, pipeline: VisionPipeline) -> Iterator[tuple[Frame, PipelineResult]]:
    for frame in source:
        result = pipeline.process(frame)
        source.interval = pipeline.interval
        yield frame, result
