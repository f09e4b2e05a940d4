"""Read the reports that audits have left in the bucket."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice

from face_app.cloud.audit.report_object import REPORTS, EdgeAudit, edge_of_report, load_report
from face_app.cloud.gallery.objects import Listed, Objects
from face_app.common.errors import StoreError

LIST_SECONDS = 10.0
"""Seconds between two listings of the reports: each watcher of the page requests it at every change."""
MOST = 2_000
"""Maximum number of reports."""


@dataclass(frozen=True)
class ReportView:
    """Describes the report about one edge.

    Attributes:
        edge: Name of the edge.
        key: Key of the object.
        audit: Content; None if it cannot be read.
        problem: Why it cannot be read; empty if it can.
    """

    edge: str
    key: str
    audit: EdgeAudit | None
    problem: str = ""

    @property
    def age(self) -> float | None:
        """Return the seconds since the audit; None if the report cannot be read."""
        return _age(self.audit.at) if self.audit else None

    @property
    def ledger_age(self) -> float | None:
        """Return the age of the oldest ledger of the audit in seconds; None if it is unknown, or one was missing."""
        ages = [row.ledger_at for row in self.audit.outboxes] if self.audit else []
        return max((_age(at) for at in ages if at), default=None) if all(ages) else None


class AuditReports:
    """Lists the reports, and reads those that are new. Thread-safe."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._views: dict[Listed, ReportView] = {}
        self._next = 0.0
        self._lock = threading.Lock()

    def views(self) -> list[ReportView]:
        """Return the report about each edge, by edge; the last known ones while the bucket does not answer."""
        with self._lock:
            if not self._objects.problem and time.monotonic() >= self._next:
                with suppress(StoreError):  # the page has a notice about it
                    self._refresh()
            return list(self._views.values())

    def _refresh(self) -> None:
        listed = (each for page in self._objects.pages(REPORTS) for each in page if edge_of_report(each.key))
        views = {}
        for each in islice(listed, MOST):
            view = self._views.get(each) or self._read(each.key)
            if view:
                views[each] = view
        self._views = views
        self._next = time.monotonic() + LIST_SECONDS

    def _read(self, key: str) -> ReportView | None:
        self._objects.forget(key)  # an audit replaces its report
        data = self._objects.get(key)
        if data is None:
            return None
        edge = edge_of_report(key) or ""
        try:
            return ReportView(edge, key, load_report(data, key))
        except StoreError as error:
            return ReportView(edge, key, None, str(error))


def _age(at: datetime) -> float:
    return max(0.0, (datetime.now(timezone.utc) - at).total_seconds())
