"""Check what an operator asks to erase or to export."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

from face_app.cloud.bucket.selection import Selection, parse_selection
from face_app.common.errors import SettingsError


def requested_erasure(
    keys: Sequence[str], limits: dict[str, str | None], *, all_edges: bool, now: datetime | None = None
) -> list[Selection]:
    """Return what to erase; a range without an end ends now, so that no future face is erased.

    Args:
        keys: Keys of faces, or of copies in quarantine.
        limits: Range, by the names in `Selection.document`.
        all_edges: The range may cover all edges.
        now: Present time (aware); None: that of the clock.

    Raises:
        SettingsError: A value is invalid, nothing is selected, or the range is wider than was asked for.
    """
    if keys:
        if any(limits.values()) or all_edges:
            raise SettingsError("give keys or a range, not both")
        return [parse_selection({"key": key}) for key in dict.fromkeys(keys)]
    selection = requested_range(limits, all_edges=all_edges)
    now = (now or datetime.now(timezone.utc)).replace(microsecond=0)
    if selection.until is None:
        selection = replace(selection, until=now)
    if selection.until and selection.until > now:
        raise SettingsError(
            f"--to {selection.until.isoformat()} is in the future: faces that were not captured yet would be erased"
        )
    if selection.since and selection.until and selection.since >= selection.until:
        raise SettingsError(f"--from {selection.since.isoformat()} is not before {selection.until.isoformat()}")
    return [selection]


def requested_range(limits: dict[str, str | None], *, all_edges: bool = False) -> Selection:
    """Return a range of one edge, or with `all_edges` of several.

    Raises:
        SettingsError: A value is invalid, or the range is wider than was asked for.
    """
    selection = parse_selection(limits)
    if selection.edge and all_edges:
        raise SettingsError("--edge and --all-edges exclude each other: give one of them")
    if not selection.edge:
        if not all_edges:
            raise SettingsError("--edge is missing: name the edge, or add --all-edges to cover every edge")
        if not selection.visit and not (selection.since and selection.until):
            raise SettingsError("--all-edges needs --from and --to, or --visit")
    return selection
