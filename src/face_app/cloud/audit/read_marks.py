"""Read the marks of a bucket."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from face_app.cloud.audit.content import THREADS
from face_app.cloud.audit.names import OutboxName
from face_app.cloud.audit.scope import Scope
from face_app.cloud.bucket import operations
from face_app.cloud.bucket.mark_object import Mark, load_marks, merge_marks, outbox_of_mark
from face_app.common import settings
from face_app.common.errors import StoreError


@dataclass(frozen=True)
class Marks:
    """Contains all marks in scope.

    Attributes:
        outboxes: Marks by edge and outbox.
        unreadable: Why an object is no mark, one sentence each.
    """

    outboxes: Mapping[OutboxName, tuple[Mark, ...]]
    unreadable: tuple[str, ...]


def read_marks(store: settings.Store, scope: Scope) -> Marks:
    """Read the marks of all subscribers, and combine those of one outbox.

    Raises:
        StoreError: The bucket cannot be listed, or an object cannot be read.
    """
    get = operations.reader(store, connections=THREADS)
    found: dict[OutboxName, list[Mark]] = {}
    unreadable: list[str] = []
    keys = (key for prefix in scope.mark_prefixes for key in operations.keys(store, prefix))
    names = {key: name for key in keys if (name := outbox_of_mark(key))}  # the listing reports foreign objects
    with ThreadPoolExecutor(THREADS) as pool:
        objects = list(pool.map(get, names))
    for (key, name), data in zip(names.items(), objects, strict=True):
        if data is None:
            continue  # deleted since it was listed
        try:
            marks = load_marks(data, key)
        except StoreError as error:
            unreadable.append(str(error))
            continue
        found.setdefault(OutboxName(scope.present_name(name[0]), name[1]), []).extend(marks)
    return Marks({name: tuple(merge_marks(marks).values()) for name, marks in found.items()}, tuple(unreadable))
