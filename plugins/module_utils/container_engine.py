"""Docker, as modules that look after containers ask it. Runs on the host, whose Python may be 3.6."""

import json

LABEL = "face-app.settings"
"""Tells our containers from others."""
PREVIOUS_LABEL = "face-app.previous"
"""Names the image of the container before."""
ANSWER_SECONDS = 60
"""Longest wait for one answer; a program that hangs gives none."""
STOP_SECONDS = 30
"""How long a program has to end by itself; then it is killed."""


class EngineError(Exception):
    """Docker does not do what it is asked for; the message is its last line."""


class Engine:
    """Docker, through its command line."""

    def __init__(self, module):
        self._module = module

    def try_to(self, *arguments):
        """Run a command of docker; its exit code, and what it wrote, in one line."""
        code, out, err = self._module.run_command(["docker", *arguments])
        return code, " ".join((out + "\n" + err).split())

    def do(self, *arguments):
        """Run a command of docker that must succeed; standard output."""
        code, out, err = self._module.run_command(["docker", *arguments])
        if code:
            said = " ".join((err.strip() or out).split())
            raise EngineError(f"docker {arguments[0]}: {said}")
        return out

    def look(self, name):
        """What is known about a container; None where there is none."""
        code, out, err = self._module.run_command(["docker", "container", "inspect", name])
        if code and "No such container" in err:
            return None
        if code:
            raise EngineError(f"docker inspect: {err.strip()}")
        found = json.loads(out)[0]
        if LABEL not in (found["Config"]["Labels"] or {}):
            raise EngineError(f"container {name} is not one of face-app; remove or rename it (docker rename)")
        return found

    def remove(self, name):
        """Remove a container; it ends as by itself."""
        self.stop(name)
        self.do("rm", name)

    def stop(self, name):
        """Let a container end by itself."""
        self.do("stop", f"--time={STOP_SECONDS}", name)

    def answer(self, name, program):
        """Run a program inside a container; whether it exits 0, and what it says."""
        command = ["timeout", str(ANSWER_SECONDS), "docker", "exec", name, *program]
        code, out, err = self._module.run_command(command)
        return code == 0, " ".join((out + " " + err).split())

    def last_words(self, name):
        """The end of a container's log, in one line."""
        code, out, err = self._module.run_command(["docker", "logs", "--tail", "5", name])
        lines = [] if code else (out + err).strip().splitlines()
        return " / ".join(line.strip() for line in lines) or "none"
