"""A frame, and what every source of frames has."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol

from face_app.edge.image import Image


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source.

    Attributes:
        image: H x W x 3, BGR.
        index: Counts from 0 over the whole run; a gap is a frame that was not taken.
        captured_at: Wall time of the capture, as far as the source knows it, else of the read (aware).
        alone: It has nothing to do with the frames before and after it: a photo in a folder.
        elapsed: Seconds on the source's own clock. Whatever is timed by it gives the same result at any pace.
    """

    image: Image
    index: int
    captured_at: datetime
    elapsed: float
    alone: bool = False


class Source(Protocol):
    """Where frames come from. Ends when it has no more, or soon after the stop event that it was made with.

    Attributes:
        live: Whether it is a camera: it goes on while nobody looks, and never ends by itself.
        length: Frames that its files hold, as far as they tell; None where it has no end.
        interval: Least seconds on the source's own clock between two frames that are given; 0 gives every one. May be
            changed at any time. Frames in between are counted and never converted.
    """

    live: bool
    length: int | None
    interval: float

    @property
    def count(self) -> int:
        """Frames that came so far, those that were not given included."""

    def __enter__(self) -> "Source":
        """Open it.

        Raises:
            SourceError: A file that cannot be decoded. A live source is waited for instead.
        """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...
