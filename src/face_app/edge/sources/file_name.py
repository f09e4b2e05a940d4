"""Pass file names to libraries and to logs. A name is bytes: any encoding, also line breaks and control characters."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from face_app.common.errors import SourceError


def printable_name(path: Path) -> str:
    """Return a name on one line, with escapes for bytes that are no UTF-8 and for control characters."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


@contextmanager
def native_name(path: Path) -> Iterator[str]:
    """Provide a name by which a native library can open an existing file while the context lasts.

    OpenCV crashes at a name that is not UTF-8, so it gets the name of an open descriptor. An absolute path is
    never taken for a URL, as ``a:b.mp4`` is.

    Raises:
        SourceError: The file cannot be opened.
    """
    name = str(path.absolute())
    try:
        name.encode()
    except UnicodeEncodeError:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise SourceError(f"{printable_name(path)}: {error.strerror}") from error
        try:
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        yield name
