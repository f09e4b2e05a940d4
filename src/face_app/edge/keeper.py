"""What becomes of what was seen: it is committed to the outbox, however long that has no room."""

import logging
import threading

from face_app.edge import figures
from face_app.edge.backoff import pauses
from face_app.edge.capture import Seen
from face_app.edge.outbox import Outbox
from face_app.edge.photograph import photograph
from face_app.edge.readiness import Pulse
from face_app.errors import OutboxFullError, OutboxUnavailableError
from face_app.settings import EdgeSettings

log = logging.getLogger(__name__)


class Keeper:
    """Commits shots and visits, each frame's together.

    Attributes:
        enough: Whether as many faces are captured as ``camera.stop_after`` asks for.
    """

    def __init__(
        self, settings: EdgeSettings, detector: str, outbox: Outbox, stop: threading.Event, pulse: Pulse
    ) -> None:
        """Begin with nothing.

        Args:
            settings: Of the edge.
            detector: Name of the detector.
            outbox: Where faces go.
            stop: Ends the waiting for an outbox that is full.
            pulse: Is told that no frame is taken meanwhile.
        """
        self.enough = False
        self._settings = settings
        self._detector = detector
        self._outbox = outbox
        self._stop = stop
        self._pulse = pulse
        self._captured = 0

    def keep(self, seen: Seen) -> int:
        """Commit what a frame led to, and hold it, and with it the source, while the outbox cannot take it.

        Returns:
            How many faces were committed.

        Raises:
            OutboxError: It will not take them, or the program is to end before it does.
        """
        most = self._settings.camera.stop_after
        shots = seen.shots[: most - self._captured] if most else seen.shots
        if not shots and not seen.visits:
            return 0
        faces = [photograph(shot, self._settings, self._detector) for shot in shots]
        held = f"{len(faces)} faces and {len(seen.visits)} visits"
        waits = pauses(30)
        while True:
            pause = next(waits)
            try:
                self._outbox.add(faces, seen.visits)
            except OutboxUnavailableError as error:
                self._pulse.hold(str(error), full=isinstance(error, OutboxFullError))
                log.warning("%s. %s are held, no frame is taken; trying again in %.0f s", error, held, pause)
                if self._stop.wait(pause):
                    raise
            else:
                break
        figures.CAPTURED.inc(len(faces))
        figures.VISITS.inc(len(seen.visits))
        self._pulse.beat()
        self._captured += len(faces)
        self.enough = most is not None and self._captured >= most
        return len(faces)
