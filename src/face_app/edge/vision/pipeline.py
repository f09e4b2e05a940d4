"""The eyes of the edge: frames in, shots and visits out. Each stage takes and gives plain values.

=====================  ==============================================
zones                  blacks out what nobody may see
gate                   whether anything moves, and when to look
detector               where the faces are
tracker                which face is which
quality, best shots    how good a picture is, and which ones are kept
=====================  ==============================================
"""

import time
from dataclasses import dataclass

from face_app.common.settings import EdgeSettings
from face_app.edge import metrics
from face_app.edge.outbox.records import Visit
from face_app.edge.sources.frame import Frame
from face_app.edge.vision.best_shot import BestShots, Shot
from face_app.edge.vision.detectors.load import load_detector
from face_app.edge.vision.gate import Gate
from face_app.edge.vision.tracker import Tracker
from face_app.edge.vision.zones import Zones


@dataclass(frozen=True)
class PipelineResult:
    """What a frame led to.

    Attributes:
        shots: Pictures to keep.
        visits: Visits that are over.
    """

    shots: tuple[Shot, ...] = ()
    visits: tuple[Visit, ...] = ()


class VisionPipeline:
    """The stages of one camera.

    Attributes:
        detector: Name of the detector.
        looks: Frames in which faces were looked for.
        visits: Tracks that turned out to be somebody, and are over.
    """

    def __init__(self, settings: EdgeSettings) -> None:
        """Load the detector.

        Raises:
            DetectorError: It cannot be loaded.
        """
        self.looks = 0
        self.visits = 0
        self._zones = Zones(settings.zones)
        self._gate = Gate(settings.gate, budget=settings.camera.pace != "fast")
        self._detector = load_detector(settings.detector)
        self._tracker = Tracker(settings.detector.score)
        self._best = BestShots(settings.camera.name, settings.shot, settings.crop)
        self.detector = self._detector.name

    @property
    def interval(self) -> float:
        """Seconds until the next frame that is wanted."""
        return self._gate.interval

    def look(self, frame: Frame) -> PipelineResult:
        """Take the next frame. Its privacy zones are black afterwards."""
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
        self.looks += 1
        self.visits += len(visits)
        metrics.LOOKS.inc()
        news = self._best.news(elapsed) or self._tracker.missing
        self._gate.told(news=news, cpu=time.thread_time() - began, elapsed=elapsed)
        return PipelineResult((*shots, *late), tuple(visits))

    def close(self) -> PipelineResult:
        """End every visit: there are no more frames."""
        shots, visits = self._best.end(self._tracker.close())
        self.visits += len(visits)
        return PipelineResult(tuple(shots), tuple(visits))
