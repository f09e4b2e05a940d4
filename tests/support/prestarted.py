"""`face-app ...` as processes that are forked from one that has imported the program already."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

SERVER = r"""
import json, os, sys, traceback

import face_app.cli.app

def child(request):
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["face-app", *request["arguments"]]
    for descriptor, name in enumerate(("input", "output", "error")):
        flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(request[name], flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    from face_app.__main__ import main
    try:
        main()
        return 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1

answers = os.fdopen(os.dup(1), "w")
for line in os.fdopen(os.dup(0)):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = child(json.loads(line))
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status), file=answers, flush=True)
"""
"""Reads requests as lines of JSON; for each it forks, runs the program in the child, and writes the exit code."""


class Prestarted:
    """Runs `face-app` to its end; imports are loaded once."""

    def __init__(self, server: "subprocess.Popen[str]", folder: Path) -> None:
        self._server = server
        self._folder = folder

    def run(
        self, *arguments: object, environment: Mapping[str, str], given: bytes = b""
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run a command.

        Args:
            arguments: Of `face-app`.
            environment: The whole of it.
            given: Its standard input.
        """
        files = {name: self._folder / name for name in ("input", "output", "error")}
        files["input"].write_bytes(given)
        command = [str(each) for each in arguments]
        request = {
            **{name: str(file) for name, file in files.items()},
            "arguments": command,
            "environment": dict(environment),
            "folder": str(Path.cwd()),
        }
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        return subprocess.CompletedProcess(command, code, files["output"].read_bytes(), files["error"].read_bytes())


@contextmanager
def prestarted() -> Iterator[Prestarted]:
    """Import the program in a process without threads, and fork from it until the context ends."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with TemporaryDirectory(prefix="prestarted-") as folder:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        try:
            yield Prestarted(server, Path(folder))
        finally:
            server.kill()
            server.communicate()
