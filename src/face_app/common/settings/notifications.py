"""Define the settings of notifications."""

import re
from datetime import time
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from face_app.common.settings.section import Section

_CAMERA = re.compile(r"[A-Za-z0-9_*?\[\]!-]+/[A-Za-z0-9_*?\[\]!-]+")
_SPAN = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")


def _check_pattern(text: str) -> str:
    if not _CAMERA.fullmatch(text):
        raise ValueError("is no pattern EDGE/CAMERA; give one such as */door or jetson/*")
    return text


def parse_span(text: str) -> tuple[time, time]:
    """Return the beginning and the end of a daily span such as ``22:00-7:00``.

    Raises:
        ValueError: It is none, or empty.
    """
    match = _SPAN.fullmatch(text.replace(" ", ""))
    try:
        if match is None:
            raise ValueError
        begin, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
    except ValueError as error:
        raise ValueError("is no span HH:MM-HH:MM; give one such as 22:00-07:00") from error
    if begin == end:
        raise ValueError("begins and ends at the same time; set two times, or remove it")
    return begin, end


def _check_span(text: str) -> str:
    parse_span(text)
    return text


CameraPattern = Annotated[str, AfterValidator(_check_pattern)]
Span = Annotated[str, AfterValidator(_check_span)]


class Notifications(Section):
    """Configures messages about new faces and alarms to the services that Apprise knows."""

    urls_file: Path | None = Field(
        None, description="File with one Apprise URL per line, each a service; unset: no notifications. Secret."
    )
    cameras: list[CameraPattern] = Field(
        ["*/*"], description="Patterns EDGE/CAMERA of the cameras whose faces are notified."
    )
    muted: list[CameraPattern] = Field(
        [], description="Patterns EDGE/CAMERA of cameras whose faces are not notified, although cameras names them."
    )
    cool_down: float = Field(
        60,
        ge=0,
        le=86_400,
        description="Seconds after a message about a camera until the next one, which sums up the faces between.",
    )
    quiet_hours: Span | None = Field(
        None, description="Daily span HH:MM-HH:MM of the time zone without messages about faces; a summary follows it."
    )
    max_age_minutes: float = Field(
        15, gt=0, le=10_080, description="Age of a face, minutes, above which it appears in a summary of its edge only."
    )
    give_up_minutes: float = Field(
        60, gt=0, le=10_080, description="Minutes until a message that a service does not accept is given up."
    )
    alerts_token_file: Path | None = Field(
        None,
        description="File with the bearer token of POST /alerts at metrics.port, for Alertmanager; unset: no alarms.",
    )

    @model_validator(mode="after")
    def _check_services(self) -> "Notifications":
        if self.alerts_token_file and not self.urls_file:
            raise ValueError("alerts_token_file needs urls_file: set the services that get the alarms")
        return self
