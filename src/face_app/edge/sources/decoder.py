"""What is read frame by frame, whoever decodes it."""

from typing import Any, Protocol, TypeAlias

import numpy.typing as npt

Decoded: TypeAlias = npt.NDArray[Any]
"""A picture as its decoder gives it: any depth, any number of channels."""


class Capture(Protocol):
    """An open camera, stream or file. A frame that nobody wants is grabbed and never converted."""

    def grab(self) -> bool:
        """Take the next frame; False where there is none any more.

        Raises:
            SourceError: There is none, and it is known why.
        """

    def retrieve(self) -> Decoded | None:
        """Convert the frame that was grabbed last; None where it is broken."""

    def release(self) -> None:
        """Let go of it."""


class LiveCapture(Capture, Protocol):
    """A capture that knows when.

    Attributes:
        at: Moment of the frame that was grabbed last, seconds of the monotonic clock.
    """

    at: float
