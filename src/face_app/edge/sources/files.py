"""Play files: one video, one picture, or a folder of both in the order of their names."""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.metrics import SKIPPED
from face_app.edge.sources.clips import Clip, PictureClip, VideoClip
from face_app.edge.sources.file_name import printable_name
from face_app.edge.sources.frame import Frame, FrameSchedule
from face_app.edge.sources.frame_converter import FrameConverter
from face_app.edge.sources.frozen import FrozenPictureCheck

log = logging.getLogger(__name__)

PICTURES = {".avif", ".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
VIDEOS = {
    *(".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"),
    *(".mts", ".ogv", ".ts", ".webm", ".wmv"),
}
MAX_LOGGED_SUFFIXES = 10
"""Maximum number of suffixes in the report of skipped files, the most frequent first; a folder may have thousands."""
GAP_SECONDS = 2.0
"""Seconds on the source's clock between two files, or two plays of the same file in a loop. It exceeds the lifetime of
a lost track, so no visit spans two files."""
MAX_STEP = 10.0
"""Maximum seconds between two frames of a file. A longer step is passed over: a timestamp may be hours ahead after a
cut or a damage, and each wait that comes from a file must end soon."""


class FileSource:
    """Plays a file, or all decodable files of a folder, once or in a loop.

    Attributes:
        length: Number of frames in all files, as the files report it; None before the start, and in a loop.
    """

    live = False

    def __init__(self, path: Path, camera: settings.Camera, stop: threading.Event) -> None:
        """Prepare to play; entering the context finds the files.

        Args:
            path: Existing file or folder.
            camera: Pace and loop.
            stop: Event that ends the run between two frames.
        """
        self.length: int | None = None
        self._path = path
        self._name = printable_name(path)
        self._loop = camera.loop
        self._stop = stop
        self._schedule = FrameSchedule()
        converter = FrameConverter(self._name, camera.rotate)
        self._player = Player(self._name, stop, self._schedule, converter, fast=camera.pace == "fast")
        self._files: list[Path] = []
        self._clip: Clip | None = None

    @property
    def count(self) -> int:
        """Return the number of frames read so far."""
        return self._player.count

    @property
    def interval(self) -> float:
        """Return the minimum seconds between two frames, on the clock of the files."""
        return self._schedule.interval

    @interval.setter
    def interval(self, seconds: float) -> None:
        self._schedule.interval = seconds

    def __enter__(self) -> "FileSource":
        """Find the files that can be decoded.

        Raises:
            SourceError: No file can be decoded.
        """
        lengths: dict[Path, int] = {}
        for file in self._candidates():
            try:
                clip = _open_clip(file, loop=self._loop)
            except SourceError as error:
                self._skip_or_raise(file, error)
                continue
            clip.release()
            lengths[file] = clip.length
        if not lengths:
            raise SourceError(f"{self._name}: has no video and no picture; set camera.source to another folder")
        self._files = list(lengths)
        self.length = None if self._loop else sum(lengths.values())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file that is playing."""
        if self._clip:
            self._clip.release()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames of all files.

        Raises:
            SourceError: No frame of a whole round could be decoded.
        """
        while True:
            decoded_before = self._player.decoded
            for file in self._files:
                before = self._player.count, self._player.decoded
                try:
                    self._clip = _open_clip(file, loop=self._loop)
                    yield from self._player.play(self._clip)
                    self._clip.release()
                except SourceError as error:
                    self._skip_or_raise(file, error)
                if self._stop.is_set():
                    return
                if self._player.count > before[0] and self._player.decoded == before[1] and file != self._path:
                    log.warning("skipped: %s: no frame in it can be decoded", printable_name(file))
            if self._player.decoded == decoded_before:
                raise SourceError(
                    f"{self._name}: no frame in it can be decoded; set camera.source to another file or folder"
                )
            if not self._loop:
                return

    def _candidates(self) -> list[Path]:
        if self._path.is_file():
            return [self._path]
        try:
            files = sorted(self._path.iterdir())
        except OSError as error:
            raise SourceError(f"{self._name}: {error.strerror}; give uid {os.getuid()} read permission") from error
        playable = [file for file in files if file.suffix.lower() in PICTURES | VIDEOS]
        self._log_skipped(Counter(map(_kind, sorted(set(files).difference(playable)))))
        return playable

    def _log_skipped(self, kinds: Counter[str]) -> None:
        """Log how many files of the folder have a suffix that is not played."""
        if kinds:
            counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(MAX_LOGGED_SUFFIXES))
            more = ", others" if len(kinds) > MAX_LOGGED_SUFFIXES else ""
            log.warning(
                "%s: skipped by suffix: %s%s; convert pictures to JPEG and videos to MP4", self._name, counts, more
            )

    def _skip_or_raise(self, file: Path, error: SourceError) -> None:
        """Log an undecodable file of a folder, and skip it; raise the error if it is the only file."""
        if file == self._path:
            raise error
        log.warning("skipped: %s", error)


class Player:
    """Plays clips one after another with one frame count, one clock and one pace.

    Frames are never dropped for lack of time. If the program is slower than the clip, playing takes longer.

    Attributes:
        count: Number of frames read so far.
        undecodable: Number of undecodable frames among them; they were not yielded.
    """

    def __init__(
        self, name: str, stop: threading.Event, schedule: FrameSchedule, converter: FrameConverter, *, fast: bool
    ) -> None:
        self.count = 0
        self.undecodable = 0
        self._name = name
        self._stop = stop
        self._schedule = schedule
        self._converter = converter
        self._fast = fast
        self._elapsed = 0.0
        self._next_at = 0.0
        self._step_logged = False
        self._frozen = FrozenPictureCheck(name)

    @property
    def decoded(self) -> int:
        """Return the number of frames read so far that were not found undecodable."""
        return self.count - self.undecodable

    def play(self, clip: Clip) -> Iterator[Frame]:
        """Yield the frames of one clip, at its own rate or as fast as they are read.

        A step of more than `MAX_STEP` counts as `GAP_SECONDS` on the clock, and the next frame follows at once.

        Raises:
            SourceError: No frame can be decoded.
        """
        started = self._elapsed
        previous = 0.0
        while clip.grab():
            step = clip.position - previous
            if step > MAX_STEP:
                self._log_step(step, previous)
                started -= step - GAP_SECONDS
            else:
                self._wait(step)
            if self._stop.is_set():
                return
            previous = clip.position
            index = self.count
            elapsed = started + clip.position
            self.count += 1
            self._elapsed = elapsed + GAP_SECONDS
            if not self._schedule.is_due(elapsed):
                SKIPPED.inc()
                continue
            image = self._converter.convert(clip.retrieve())
            if image is None:
                self.undecodable += 1
                continue
            self._schedule.advance(elapsed)
            unchanged = 0.0 if clip.independent else self._frozen.seconds_unchanged(image, elapsed)
            yield Frame(image, index, datetime.now(timezone.utc), elapsed, unchanged, clip.independent)
        self._wait(min(clip.frame_seconds, MAX_STEP))

    def _log_step(self, step: float, previous: float) -> None:
        """Log the first step that is passed over; a damaged file may have thousands."""
        if not self._step_logged:
            log.warning(
                "%s: no frame for %.0f s after second %.0f; played without this pause", self._name, step, previous
            )
        self._step_logged = True

    def _wait(self, seconds: float) -> None:
        """Wait until `seconds` after the previous frame was due. After a delay, later frames are not sped up."""
        if not self._fast:
            self._next_at = max(self._next_at + seconds, time.monotonic())
            self._stop.wait(self._next_at - time.monotonic())


def _kind(file: Path) -> str:
    """Return the suffix of a file for the log."""
    with suppress(OSError):  # its folder can be listed, and no file in it examined
        if file.is_dir():
            return "folder"
    return printable_name(Path(file.suffix.lower())) if file.suffix else "without suffix"


def _open_clip(file: Path, *, loop: bool) -> Clip:
    return PictureClip(file, loop=loop) if file.suffix.lower() in PICTURES else VideoClip(file)
