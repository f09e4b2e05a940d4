"""The ballast file: complete or absent, and no condition for the outbox."""

import errno
import os

import pytest

from face_app.common.settings import OutboxFile
from face_app.edge.outbox.disk import BALLAST, ballast_bytes, ballast_path, create_ballast, release_ballast
from face_app.edge.outbox.outbox import Outbox
from support.new_faces import new_face


def test_a_ballast_whose_creation_was_interrupted_is_completed(tmp_path):
    outbox = tmp_path / "outbox"
    outbox.touch()
    ballast_path(outbox).write_bytes(b"\0" * 1000)
    create_ballast(outbox)
    assert (ballast_bytes(outbox), release_ballast(outbox), release_ballast(outbox)) == (BALLAST, True, False)


@pytest.mark.parametrize("failing", ["open", "posix_fallocate"])
def test_an_outbox_works_although_the_ballast_cannot_be_created(path, monkeypatch, failing):
    real = getattr(os, failing)

    def fail(file, *arguments):
        if failing == "open" and file != ballast_path(path):
            return real(file, *arguments)
        raise OSError(errno.ENOSPC, "no space or inode is free")

    monkeypatch.setattr(os, failing, fail)
    with Outbox(OutboxFile(path=path)) as outbox:
        assert len(outbox.append([new_face()])) == 1
        outbox.maintain()
        assert ballast_bytes(path) == 0
