"""Define a frame, the protocol of every source, and the schedule by which sources skip frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol

from face_app.edge.image import Image

EPSILON = 1e-6
"""Seconds by which a frame may be early, because frame times are sums of floats."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Describes one picture of a source.

    Attributes:
        image: H x W x 3, BGR.
        index: Number of the frame, counted from 0 over the whole run. A gap means that frames were skipped or missed.
        captured_at: Wall time of the capture if the source knows it, otherwise of the read (aware).
        elapsed: Seconds on the source's own clock. Stages that use this clock give the same result at any pace.
        unchanged: Seconds for which the source has given exactly this picture.
        independent: True if the frames before and after it show other scenes, as the photos of a folder do.
    """

    image: Image
    index: int
    captured_at: datetime
    elapsed: float
    unchanged: float = 0.0
    independent: bool = False


class Source(Protocol):
    """Yields frames until it ends, or until shortly after its stop event is set.

    Attributes:
        live: True for a camera or stream: it never ends by itself, and drops frames that come too fast.
        length: Number of frames, as the files report it; None if the source has no end.
        interval: Minimum seconds on the source's clock between two frames; 0 yields all frames. It may change at any
            time. Frames in between are counted, but never converted.
    """

    live: bool
    length: int | None
    interval: float

    @property
    def count(self) -> int:
        """Return the number of frames so far, including those that were not yielded."""

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

    A frame seldom arrives exactly when it is due. The schedule has fixed slots, so that a late frame does not delay all
    frames after it: of 25 frames a second, an interval of 0.1 s selects ten, not eight.

    Attributes:
        interval: Seconds between two slots; 0 selects every frame. A new value applies from the next frame on.
    """

    def __init__(self) -> None:
        self.interval = 0.0
        self._slot = float("-inf")

    def is_due(self, moment: float) -> bool:
        """Return whether to select the frame of this moment, seconds on any one clock."""
        return moment - self._slot >= self.interval - EPSILON

    def advance(self, moment: float) -> None:
        """Move to the next slot. Call this only after a decoded frame, so that an undecodable frame is replaced."""
        behind = moment - self._slot >= 2 * self.interval
        self._slot = moment if behind else self._slot + self.interval
