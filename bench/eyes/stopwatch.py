"""Measures the stages of a program without a change of the program."""

import functools
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


class Stopwatch:
    """Adds up the time of calls by stage; a stage that runs inside another is not counted in both.

    Attributes:
        seconds: By stage.
    """

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self.seconds: Counter[str] = Counter()
        self._clock = clock
        self._adding = threading.Lock()
        self._thread = threading.local()

    def wrap(self, stage: str, function: Callable[..., Result]) -> Callable[..., Result]:
        """Give a function that does the same and is timed."""

        @functools.wraps(function)
        def timed(*arguments: object, **named: object) -> Result:
            inner = self._thread.__dict__.setdefault("inner", [])
            inner.append(0.0)
            began = self._clock()
            try:
                return function(*arguments, **named)
            finally:
                spent = self._clock() - began
                alone = spent - inner.pop()
                if inner:
                    inner[-1] += spent
                with self._adding:
                    self.seconds[stage] += alone

        return timed
