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
    description: Where it keeps what was; its parent must be on a file system that is there from boot to shutdown.
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


class Fallback:
    """What some files were, kept in a folder. Whoever renames the folder first has it: the process that waits, or a run."""

    def __init__(self, directory):
        self.directory = directory
        self.manifest = os.path.join(directory, "manifest.json")

    def keep(self, paths, reload):
        """Note what the files are."""
        # The folder appears whole or not at all.
        draft = tempfile.mkdtemp(prefix=os.path.basename(self.directory) + ".", dir=os.path.dirname(self.directory))
        kept = []
        for number, path in enumerate(paths):
            entry = {"path": path, "there": os.path.lexists(path)}
            if entry["there"]:
                found = os.stat(path)
                entry.update(mode=stat.S_IMODE(found.st_mode), uid=found.st_uid, gid=found.st_gid)
            if os.path.isfile(path):
                entry["copy"] = str(number)
                shutil.copyfile(path, os.path.join(draft, entry["copy"]))
            kept.append(entry)
        with open(os.path.join(draft, "manifest.json"), "w") as file:
            json.dump({"kept": kept, "reload": reload}, file)
        os.rename(draft, self.directory)

    def claim(self):
        """Take the folder from everybody else.

        Returns:
            Its new place; None where somebody was faster, or nothing was kept.
        """
        mine = "{}.{}".format(self.directory, os.getpid())
        try:
            os.rename(self.directory, mine)
        except FileNotFoundError:
            return None
        return mine

    def restore(self):
        """Put back what differs, and have sshd read it.

        Returns:
            The paths that were put back; None where there is nothing to go back to.
        """
        mine = self.claim()
        if mine is None:
            return None
        with open(os.path.join(mine, "manifest.json")) as file:
            manifest = json.load(file)
        restored = [entry["path"] for entry in manifest["kept"] if put_back(entry, mine)]
        if restored and manifest["reload"]:
            subprocess.call(manifest["reload"])
        shutil.rmtree(mine)
        return restored

    def wait(self, seconds):
        """Go back after that time, unless the folder is gone by then."""
        end = time.monotonic() + seconds
        while os.path.exists(self.manifest):
            if time.monotonic() >= end:
                self.restore()
                return
            time.sleep(1)


def put_back(entry, folder):
    """Make one file what it was.

    Returns:
        Whether it was something else.
    """
    path = os.path.realpath(entry["path"])
    if not entry["there"]:
        if not os.path.lexists(path) or os.path.isdir(path):
            return False
        os.unlink(path)
        return True
    copy = entry.get("copy")
    changed = False
    if copy and not (os.path.isfile(path) and read(path) == read(os.path.join(folder, copy))):
        # Through a neighbour, so that no reader ever sees half of it.
        handle, neighbour = tempfile.mkstemp(prefix=".face-app-", dir=os.path.dirname(path))
        with os.fdopen(handle, "wb") as file:
            file.write(read(os.path.join(folder, copy)))
        os.chown(neighbour, entry["uid"], entry["gid"])
        os.chmod(neighbour, entry["mode"])
        os.rename(neighbour, path)
        changed = True
    found = os.stat(path)
    if (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) != (entry["mode"], entry["uid"], entry["gid"]):
        os.chown(path, entry["uid"], entry["gid"])
        os.chmod(path, entry["mode"])
        changed = True
    return changed


def read(path):
    with open(path, "rb") as file:
        return file.read()


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
        shutil.rmtree(mine)
        module.exit_json(changed=False, restored=[])
    restored = fallback.restore()
    if given["state"] == "armed":
        fallback.keep(given["paths"], given["reload"])
        in_the_background(lambda: fallback.wait(given["seconds"]))
    module.exit_json(changed=bool(restored), restored=restored or [])


if __name__ == "__main__":
    main()
