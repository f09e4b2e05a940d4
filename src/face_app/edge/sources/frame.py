"""Define a frame, the protocol of every source, and the schedule by which sources skip frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol

from face_app.edge.image import Image

EPSILON = 1e-6
"""Seconds by which a frame may be early: frame times are sums of floats."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Describes one picture of a source.

    Attributes:
        image: H x W x 3, BGR.
        index: Counts from 0 over the whole run. A gap is a frame that was skipped or missed.
        captured_at: Wall time of the capture if the source knows it, else of the read (aware).
        elapsed: Seconds on the source's own clock. Stages that use it give the same result at any pace.
        independent: The frames before and after it show other scenes, as the photos of a folder do.
    """

    image: Image
    index: int
    captured_at: datetime
    elapsed: float
    independent: bool = False


class Source(Protocol):
    """Yields frames until it ends, or until shortly after the stop event that it was made with.

    Attributes:
        live: Whether it is a camera, which never ends by itself and drops the frames that come too fast.
        length: Frames in its files, as the files report it; None if it has no end.
        interval: Minimum seconds on the source's clock between two frames; 0 yields all. It may change at any time.
            Frames in between are counted and never converted.
    """

    live: bool
    length: int | None
    interval: float

    @property
    def count(self) -> int:
        """Return the frames so far, including those that were not yielded."""

    def __enter__(self) -> "Source":
        """Open the source. A live source opens later, and retries until its camera answers.

        Raises:
            SourceError: A file cannot be decoded.
        """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...


class FrameSchedule:
    """Selects one frame per interval, and meets that rate on average.

    A frame seldom arrives exactly when it is due. The slots stay fixed, so that a late frame does not delay all that
    follow: of 25 frames a second, an interval of 0.1 s selects ten, not eight.

    Attributes:
        interval: Seconds; 0 selects every frame. A new value applies from the next frame on.
    """

    def __init__(self) -> None:
        self.interval = 0.0
        self._slot = float("-inf")

    def is_due(self, moment: float) -> bool:
        """Return whether the frame of this moment, seconds of any clock, is selected."""
        return moment - self._slot >= self.interval - EPSILON

    def advance(self, moment: float) -> None:
        """Move to the next slot. Call this only after an intact frame: after a broken one the next frame is due."""
        behind = moment - self._slot >= 2 * self.interval
        self._slot = moment if behind else self._slot + self.interval
