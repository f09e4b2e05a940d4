#!/usr/bin/python
"""Put a container in the place of another, and go back where the new one does not work."""

# Runs on the host, whose Python may be 3.6.
import shutil
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.container_engine import PREVIOUS_LABEL, Engine, EngineError

DOCUMENTATION = r"""
module: container_swap
short_description: Put a container in the place of another, and go back where the new one does not work
description:
  - The successor is a container I(name).next that was created and never started. The one in its place is stopped, set
    aside as I(name).previous, and the successor is started under its name. When it works, the other is removed. When it
    does not, it is removed itself, the other is started again, and the module fails with one line.
  - The image of the container before is kept, the one before that is removed; so is one that did not work.
  - Whenever the machine loses its power, the engine brings back a version that has worked. Until the successor has, it
    is not restarted (C(no)), and the one set aside is, although it was stopped (C(always)).
  - A run that was cut short is taken up by the next one. What stands as I(name) under C(no) while there is an
    I(name).previous never showed that it works.
options:
  name:
    description: Name of the container.
    type: str
    required: true
  successor:
    description: Whether there is a successor. Without one, it only waits until I(name) works.
    type: bool
    default: false
  health:
    description: Program and arguments that exits 0 inside the container while it does its work.
    type: list
    elements: str
    required: true
  itself:
    description:
      - What to ask in its place where the container stays as it is; the same where it is empty.
      - A new one is asked this in place of I(health) where the old one answered this with 0, and I(health) not.
    type: list
    elements: str
    default: []
  proofs:
    description: Further ones. Those that the old container answers with 0 the new one must answer so too.
    type: list
    elements: list
    default: []
  wait:
    description: Seconds until it must work.
    type: int
    default: 60
  versions:
    description:
      - Folder that holds a folder for each version of what the container reads at its start; that of the one that works
        is kept, others go.
    type: path
author:
  - The face-app authors
"""

EXAMPLES = r"""
- name: Let the new version show what it can do
  container_swap:
    name: face_app
    successor: true
    health: [face-app, health]
    proofs: [[face-app, health, --proven, frames]]
"""

RETURN = r"""
image:
  description: Image of the container that works now.
  type: str
  returned: success
previous:
  description: Image of the one before.
  type: str
  returned: where it was swapped
asked:
  description: What the new container had to answer.
  type: list
  returned: where it was swapped
gap:
  description: Seconds from the end of the old container until the new one worked.
  type: float
  returned: where it was swapped
"""

STEADY_SECONDS = 3
"""It must still work so long after it worked first."""
RETURN_SECONDS = 60
"""What has worked has at least so long to work again."""
MOST_ENDS = 3
"""So often a container may end with an error before it is given up."""


class DoesNotWorkError(Exception):
    """A container does not do its work; the message says what it answers."""


class Place:
    """The place of a container, with the one that is in it, the one that is to come, and the one set aside."""

    def __init__(self, engine, given):
        self._engine = engine
        self._name = given["name"]
        self._next = f"{self._name}.next"
        self._previous = f"{self._name}.previous"
        self._health = given["health"]
        self._itself = given["itself"] or given["health"]
        self._proofs = given["proofs"]
        self._wait = given["wait"]
        self._versions = given["versions"]

    def keep(self):
        """Wait until the container works; whether a run that was cut short had left anything to remove."""
        left = [name for name in (self._previous, self._next) if self._engine.look(name)]
        for name in left:
            self._engine.remove(name)
        if left:
            self._remove_versions()
        try:
            self._wait_for([self._itself])
        except DoesNotWorkError as error:
            raise DoesNotWorkError(self._told("does not work", error)) from error
        return bool(left)

    def swap(self):
        """Put the successor in the place, or leave what is in it."""
        engine = self._engine
        new = engine.look(self._next)
        if not new:
            raise EngineError(f"there is no container {self._next}")
        old, asked = self._set_aside()
        begun = time.monotonic()
        engine.do("rename", self._next, self._name)
        if not old:
            # There is no other that the engine could bring back.
            engine.do("update", "--restart=unless-stopped", self._name)
        try:
            gap = round(self._try(asked) - begun, 1)
        except (DoesNotWorkError, EngineError) as error:
            if old:
                raise self._go_back(old, new, asked[0], error) from error
            raise DoesNotWorkError(self._told("does not work", error)) from error
        image = new["Config"]["Image"]
        if not old:
            return {"image": image, "asked": asked, "gap": gap}
        # From here on the engine brings back the new one, and the old no more.
        engine.do("update", "--restart=unless-stopped", self._name, self._previous)
        engine.do("rm", self._previous)
        self._remove_versions()
        previous = old["Config"]["Image"]
        self._remove_image(old["Config"]["Labels"].get(PREVIOUS_LABEL))
        return {"image": image, "previous": previous, "asked": asked, "gap": gap}

    def _set_aside(self):
        """Stop what is in the place, and keep it; what it is, and what the next must answer, its health first."""
        engine = self._engine
        current, before = engine.look(self._name), engine.look(self._previous)
        if current and before:
            # A run was cut short, before or after the one in the place had shown that it works.
            if _restarts(current):
                engine.remove(self._previous)
                before = None
            else:
                engine.remove(self._name)
        name, old = (self._previous, before) if before else (self._name, current)
        if not old:
            return None, [self._health]

        def answers(program):
            return old["State"]["Running"] and engine.answer(name, program)[0]

        # What is wrong around it now is no fault of the new one.
        health = self._itself if not answers(self._health) and answers(self._itself) else self._health
        asked = [health] + [proof for proof in self._proofs if answers(proof)]
        engine.do("update", "--restart=always", name)
        engine.stop(name)
        if name == self._name:
            engine.do("rename", name, self._previous)
        return old, asked

    def _try(self, programs):
        """Start what is in the place, and see that it works and goes on to; when it did first.

        Raises:
            DoesNotWorkError: It does not.
            EngineError: It cannot be started.
        """
        self._engine.do("start", self._name)
        self._wait_for(programs)
        worked = time.monotonic()
        since = self._engine.look(self._name)["State"]["StartedAt"]
        time.sleep(STEADY_SECONDS)
        state = self._engine.look(self._name)["State"]
        works, said = self._engine.answer(self._name, programs[0])
        if not works or state["StartedAt"] != since:
            raise DoesNotWorkError(f"it worked, and {STEADY_SECONDS} s later it did not: {said}")
        return worked

    def _wait_for(self, programs, wait=0):
        """Wait until each of these exits 0, one after the other; start again what ended, as the engine would.

        Raises:
            DoesNotWorkError: It takes too long, or the container ends too often.
        """
        wait = max(wait, self._wait)
        deadline, ends, left = time.monotonic() + wait, 0, list(programs)
        while left:
            works, said = self._engine.answer(self._name, left[0])
            if works:
                left.pop(0)
                continue
            found = self._engine.look(self._name)
            state, late = found["State"], time.monotonic() > deadline
            if not (state["Running"] or _restarts(found)):
                ends += state["ExitCode"] != 0
                if ends >= MOST_ENDS or (ends and late):
                    raise DoesNotWorkError(f"it ended by itself, with code {state['ExitCode']}")
                self._engine.do("start", self._name)
            if late:
                raise DoesNotWorkError(f"after {wait} s it answers: {said or 'nothing'}")
            time.sleep(1)

    def _go_back(self, old, new, health, problem):
        """Put the old container back in its place, where it must answer this; the error that tells of it."""
        engine = self._engine
        image, previous = new["Config"]["Image"], old["Config"]["Image"]
        what = image if image != previous else f"{image} with its new settings"
        told = self._told(f"does not work as {what}", problem)
        try:
            engine.remove(self._name)
            engine.do("rename", self._previous, self._name)
            # In this order: what is stopped by hand comes back under `always` alone.
            engine.do("start", self._name)
            engine.do("update", "--restart=unless-stopped", self._name)
        except EngineError as error:
            return DoesNotWorkError(f"{told}. GOING BACK TO {previous} FAILED: {error}. Run the playbook again.")
        self._remove_versions()
        self._remove_image(image)
        try:
            self._wait_for([health], RETURN_SECONDS)
        except (DoesNotWorkError, EngineError) as error:
            old_told = self._told(f"is {previous} with its own settings again, and DOES NOT WORK EITHER", error)
            return DoesNotWorkError(f"{told}. {old_told}")
        return DoesNotWorkError(f"{told}. {previous} with its own settings runs again, and works.")

    def _told(self, what, problem):
        words = self._engine.last_words(self._name)
        return f"Container {self._name} {what}: {problem}. Its last words: {words}"

    def _remove_versions(self):
        """Of what was kept of settings, leave what the container reads."""
        if not self._versions or not Path(self._versions).is_dir():
            return
        mounted = [mount["Source"] for mount in self._engine.look(self._name)["Mounts"]]
        for version in Path(self._versions).iterdir():
            if str(version) not in mounted:
                shutil.rmtree(str(version))

    def _remove_image(self, image):
        """Remove an image that no container runs or names as the one before."""
        named = self._engine.do("ps", "--all", '--format={{.Image}} {{.Label "' + PREVIOUS_LABEL + '"}}').split()
        if image and image not in named:
            self._engine.try_to("image", "rm", image)


def _restarts(container):
    return container["HostConfig"]["RestartPolicy"]["Name"] != "no"


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "successor": {"type": "bool", "default": False},
            "health": {"type": "list", "elements": "str", "required": True},
            "itself": {"type": "list", "elements": "str", "default": []},
            "proofs": {"type": "list", "elements": "list", "default": []},
            "wait": {"type": "int", "default": 60},
            "versions": {"type": "path"},
        },
        supports_check_mode=True,
    )
    given = module.params
    if module.check_mode:
        module.exit_json(changed=given["successor"])
    place = Place(Engine(module), given)
    try:
        if given["successor"]:
            module.exit_json(changed=True, **place.swap())
        module.exit_json(changed=place.keep())
    except (DoesNotWorkError, EngineError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
