"""Stands in for a host of the cloud with a directory as its bucket: `docker exec` runs the real program here."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from support.faces import DrawnFace
from support.playbook import ROOT

HOST: dict[str, Any] = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    "ansible_become": False,
}
"""Variables of a host that is this machine."""


def cloud_host(folder: Path, faces: Iterable[DrawnFace], docker: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put faces into a directory store, and a program docker on PATH.

    Args:
        folder: An empty folder.
        faces: Objects of the store.
        docker: Shell commands before the program of face-app starts with the arguments that are left.
        monkeypatch: Changes PATH.

    Returns:
        The directory of the store.
    """
    store, programs = folder / "store", folder / "programs"
    programs.mkdir()
    for face in faces:
        (store / face.key).parent.mkdir(parents=True, exist_ok=True)
        (store / face.key).write_bytes(face.payload)
    settings = folder / "cloud.toml"
    settings.write_text(f'[store]\nkind = "directory"\npath = "{store}"\n')
    path = os.pathsep.join(str(ROOT / each) for each in ("src", "tests"))
    start = f'exec env PYTHONPATH={path} FACE_APP_CONFIG={settings} {sys.executable} -m face_app "$@"\n'
    (programs / "docker").write_text(f"#!/bin/sh\n{docker}{start}")
    (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return store
