#!/usr/bin/python
# Runs on the target: Python 3.6 must be able to read it.
"""Keep a way back while sshd's settings are changed, and take it even when nobody can log in any more to ask for it."""

import json
import os
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: ssh_fallback
short_description: A way back for files that sshd reads
description:
  - With C(armed) it notes what some files contain, and starts a process that puts all of it back and reloads sshd,
    unless somebody says within I(seconds) that all is well. It needs no connection for that.
  - A way back that an interrupted run left is taken before a new one is kept.
options:
  state:
    description:
      - C(armed) keeps a way back, C(restored) takes it, C(settled) gives it up.
      - C(settled) fails where it was taken meanwhile; C(restored) does not.
    type: str
    choices: [armed, restored, settled]
    required: true
  paths:
    description: Files and folders. Of a folder only owner and mode are kept.
    type: list
    elements: path
    default: []
  reload:
    description: Command that makes sshd read its settings; empty for none.
    type: list
    elements: str
    default: []
  seconds:
    description: Time until it goes back by itself.
    type: int
    default: 300
  directory:
    description: Where it keeps what was.
    type: path
    default: /run/face-app-ssh-fallback
author:
  - The face-app authors
"""

EXAMPLES = r"""
- name: Keep a way back
  ssh_fallback:
    state: armed
    paths: [/etc/ssh/sshd_config]
    reload: [systemctl, reload, ssh]
"""

RETURN = r"""
restored:
  description: Paths that were put back.
  type: list
  elements: str
  returned: always
"""


MANIFEST = "manifest.json"


class Fallback:
    """What some files were, kept in a folder. Who renames the folder first has it: the process that waits, or a run."""

    def __init__(self, directory):
        self.directory = Path(directory)

    def keep(self, paths, reload):
        """Note what the files are."""
        # The folder appears whole or not at all.
        draft = Path(tempfile.mkdtemp(prefix=self.directory.name + ".", dir=str(self.directory.parent)))
        kept = []
        for number, path in enumerate(map(Path, paths)):
            entry = {"path": str(path), "there": path.exists()}
            if entry["there"]:
                found = path.stat()
                entry.update(mode=stat.S_IMODE(found.st_mode), uid=found.st_uid, gid=found.st_gid)
            if path.is_file():
                entry["copy"] = str(number)
                (draft / entry["copy"]).write_bytes(path.read_bytes())
            kept.append(entry)
        (draft / MANIFEST).write_text(json.dumps({"number": os.urandom(8).hex(), "kept": kept, "reload": reload}))
        draft.rename(self.directory)

    def claim(self):
        """Take the folder from everybody else.

        Returns:
            Its new place; None where somebody was faster, or nothing was kept.
        """
        mine = self.directory.with_name(f"{self.directory.name}.{os.getpid()}")
        try:
            self.directory.rename(mine)
        except FileNotFoundError:
            return None
        return mine

    def restore(self):
        """Put back what differs, and have sshd read it.

        Returns:
            The paths that were put back, none where there is nothing to go back to.
        """
        mine = self.claim()
        if mine is None:
            return []
        manifest = json.loads((mine / MANIFEST).read_text())
        restored = [entry["path"] for entry in manifest["kept"] if put_back(entry, mine)]
        if restored and manifest["reload"]:
            subprocess.call(manifest["reload"])
        shutil.rmtree(str(mine))
        return restored

    def wait(self, mine, seconds):
        """Go back after that time, unless this folder is gone by then; the next run's has another number."""
        end = time.monotonic() + seconds
        while self.number() == mine:
            if time.monotonic() >= end:
                self.restore()
                return
            time.sleep(1)

    def number(self):
        try:
            return json.loads((self.directory / MANIFEST).read_text())["number"]
        except FileNotFoundError:
            return None


def put_back(entry, folder):
    """Make one file what it was.

    Returns:
        Whether it was something else.
    """
    path = Path(entry["path"]).resolve()
    if not entry["there"]:
        # A folder stays: others may have put something into it.
        if not path.is_file():
            return False
        path.unlink()
        return True
    changed = False
    if "copy" in entry:
        content = (folder / entry["copy"]).read_bytes()
        changed = not path.is_file() or path.read_bytes() != content
        if changed:
            replace(path, content)
    found = path.stat()
    if (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) != (entry["mode"], entry["uid"], entry["gid"]):
        os.chown(str(path), entry["uid"], entry["gid"])
        path.chmod(entry["mode"])
        changed = True
    return changed


def replace(path, content):
    # Through a neighbour, which root alone can read: no reader ever sees half of it.
    handle, neighbour = tempfile.mkstemp(prefix=".face-app-", dir=str(path.parent))
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(neighbour).rename(path)


def in_the_background(work):
    """Do work in a process that no login and no terminal ends."""
    if os.fork() > 0:
        return
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    # Ansible waits until nobody holds its pipes.
    os.closerange(3, 256)
    try:
        work()
    finally:
        os._exit(0)


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["armed", "restored", "settled"], "required": True},
            "paths": {"type": "list", "elements": "path", "default": []},
            "reload": {"type": "list", "elements": "str", "default": []},
            "seconds": {"type": "int", "default": 300},
            "directory": {"type": "path", "default": "/run/face-app-ssh-fallback"},
        },
        supports_check_mode=True,
    )
    given = module.params
    fallback = Fallback(given["directory"])
    if module.check_mode:
        module.exit_json(changed=False, restored=[])
    if given["state"] == "settled":
        mine = fallback.claim()
        if mine is None:
            module.fail_json(
                msg="The host went back to its former sshd settings by itself: nobody had said in time that they work."
            )
        shutil.rmtree(str(mine))
        module.exit_json(changed=False, restored=[])
    restored = fallback.restore()
    if given["state"] == "armed":
        fallback.keep(given["paths"], given["reload"])
        mine = fallback.number()
        in_the_background(lambda: fallback.wait(mine, given["seconds"]))
    module.exit_json(changed=bool(restored), restored=restored)


if __name__ == "__main__":
    main()
