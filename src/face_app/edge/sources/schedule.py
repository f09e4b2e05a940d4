"""Which frames are given, where not all are wanted."""

EPSILON = 1e-6
"""Seconds by which a frame may come early: frame times are sums of floats."""


class Schedule:
    """Lets a frame through every `interval` seconds, and keeps that rate on average.

    A frame seldom comes just when it is due. The slots stay where they are, so that a frame that comes late does not
    put off all that follow: of 25 frames a second, an interval of 0.1 s lets ten through, not eight.

    Attributes:
        interval: Seconds; 0 lets every frame through. Another value holds from the next frame on.
    """

    def __init__(self) -> None:
        self.interval = 0.0
        self._slot = float("-inf")

    def due(self, at: float) -> bool:
        """Whether a frame of this moment, in seconds of any clock, is wanted."""
        return at - self._slot >= self.interval - EPSILON

    def took(self, at: float) -> None:
        """A wanted frame was whole. After one that was not, the next frame is wanted."""
        behind = at - self._slot >= 2 * self.interval
        self._slot = at if behind else self._slot + self.interval
