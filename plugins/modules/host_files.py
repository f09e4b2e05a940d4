#!/usr/bin/python
"""Make folders and files of a host as given, in one call."""

# Runs on the host, whose Python may be 3.6.
import difflib
import hashlib
import json
import os
import shlex
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: host_files
short_description: Make folders and files of a host as given, in one call
description:
  - One call for all folders and files of a role. Each call of a module takes a fraction of a second, so that one call
    for each file would be most of the time of a run that changes nothing.
  - Folders come first, then files that must not exist, then files with their content.
options:
  folders:
    description: Folders, owned by root.
    type: list
    elements: path
    default: []
  folder_mode:
    description: Mode of the folders.
    type: str
    default: "0750"
  absent:
    description: Files to remove.
    type: list
    elements: path
    default: []
  files:
    description:
      - Files with C(path) and C(content). C(owner) and C(mode) override I(owner) and I(mode).
      - C(json) is a value that is written as JSON, in place of C(content). Ansible-core 2.16 parses a C(content) that
        is JSON, and passes the result in Python's notation.
      - C(source) is a file of the host that is copied, in place of C(content). If it is missing, nothing is written.
      - C(validate) is a command that must succeed before the content is written; it gets the path of the new file as
        C(%s). Check mode does not run it.
    type: list
    elements: dict
    default: []
  owner:
    description: Owner of the files.
    type: str
    default: root
  group:
    description: Group of folders and files.
    type: str
    default: root
  mode:
    description: Mode of the files.
    type: str
    default: "0440"
  existing:
    description: Files that others wrote. They get the owner, group and mode, and their content stays.
    type: list
    elements: path
    default: []
  digests:
    description: Further files to read. A file that does not exist yet counts as new.
    type: list
    elements: path
    default: []
author:
  - The face-app authors
"""

EXAMPLES = r"""
- name: Write the settings
  host_files:
    folders: [/etc/face-app/example]
    group: "10001"
    files:
      - {path: /etc/face-app/example/settings.toml, content: "a = 1\n"}
    digests: [/etc/face-app/example/ca.crt]
"""

RETURN = r"""
digest:
  description: A digest of the contents of I(files) and I(digests), in this order.
  type: str
  returned: always
checksums:
  description: The SHA-256 of each of I(digests), by its path; C(new) if it does not exist.
  type: dict
  returned: always
paths:
  description: What was changed, removed or created.
  type: list
  returned: always
"""

MISSING = "new"
"""Counts as the digest of a file that does not exist."""


class Files:
    """Changes folders and files, and records what it changed."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self.changed: List[str] = []
        self.differences: List[Dict[str, str]] = []

    def make_folder(self, path: str) -> None:
        """Create a folder and its parents, and set its attributes."""
        missing = not Path(path).is_dir()
        if missing and not self._module.check_mode:
            Path(path).mkdir(parents=True)
        self._set_attributes(path, "root", self._module.params["folder_mode"], changed=missing)

    def remove(self, path: str) -> None:
        """Remove a file if it exists."""
        if not os.path.lexists(path):
            return
        if not self._module.check_mode:
            Path(path).unlink()
        self.changed.append(path)

    def write(self, file: Dict[str, Any], content: bytes) -> None:
        """Write a file if its content differs, and set its attributes."""
        old = _read(file["path"])
        if content != old:
            self._replace(file, content)
            self._describe(file["path"], old, content)
        parameters = self._module.params
        owner, mode = (file[name] or parameters[name] for name in ("owner", "mode"))
        self._set_attributes(file["path"], owner, mode, changed=content != old)

    def restrict(self, path: str) -> None:
        """Set the attributes of a file that others wrote; in check mode it may be missing."""
        parameters = self._module.params
        if not self._module.check_mode or Path(path).exists():
            self._set_attributes(path, parameters["owner"], parameters["mode"], changed=False)

    def _replace(self, file: Dict[str, Any], content: bytes) -> None:
        descriptor, new = tempfile.mkstemp(dir=self._module.tmpdir)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        command = file["validate"]
        if command and not self._module.check_mode:
            code, out, err = self._module.run_command([part.replace("%s", new) for part in shlex.split(command)])
            if code:
                self._module.fail_json(
                    msg=f"{file['path']} is not valid: {(err or out).strip()}", stdout=out, stderr=err
                )
        if not self._module.check_mode:
            self._module.atomic_move(new, file["path"])

    def _describe(self, path: str, old: Optional[bytes], new: bytes) -> None:
        """Record the lines that differ."""
        before, after = ((each or b"").decode(errors="replace").splitlines(keepends=True) for each in (old, new))
        self.differences.append({"prepared": "".join(difflib.unified_diff(before, after, path, path))})

    def _set_attributes(self, path: str, owner: str, mode: str, *, changed: bool) -> None:
        wanted = {"path": path, "owner": owner, "group": self._module.params["group"], "mode": mode}
        attributes = self._module.load_file_common_arguments(wanted)
        if self._module.set_fs_attributes_if_different(attributes, changed):
            self.changed.append(path)


def _read(path: str) -> Optional[bytes]:
    """Return the content of a file; None if there is none."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return None


def _content(file: Dict[str, Any]) -> Optional[bytes]:
    """Return the content that a file gets; None if its source does not exist."""
    if file["json"] is not None:
        return (json.dumps(file["json"], indent=4, sort_keys=True) + "\n").encode()
    return _read(file["source"]) if file["source"] else file["content"].encode()


def _digest(content: Optional[bytes]) -> str:
    return MISSING if content is None else hashlib.sha256(content).hexdigest()


def main() -> None:
    """Make folders and files as given."""
    file = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str"},
        "json": {"type": "raw"},
        "source": {"type": "path"},
        "owner": {"type": "str"},
        "mode": {"type": "str"},
        "validate": {"type": "str"},
    }
    paths = {"type": "list", "elements": "path", "default": []}
    module = AnsibleModule(
        argument_spec={
            "folders": paths,
            "folder_mode": {"type": "str", "default": "0750"},
            "absent": paths,
            # The contents may be secret, so that neither the log of the host nor the output of Ansible has them.
            "files": {
                "type": "list",
                "elements": "dict",
                "options": file,
                "required_one_of": [("content", "json", "source")],
                "mutually_exclusive": [("content", "json", "source")],
                "default": [],
                "no_log": True,
            },
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "mode": {"type": "str", "default": "0440"},
            "existing": paths,
            "digests": paths,
        },
        supports_check_mode=True,
    )
    parameters = module.params
    # Ansible would replace paths, modes and line breaks too. A task with secrets sets `diff: false`.
    module.no_log_values = {each["content"] for each in parameters["files"] if (each["content"] or "").strip()}
    files = Files(module)
    try:
        for folder in parameters["folders"]:
            files.make_folder(folder)
        for path in parameters["absent"]:
            files.remove(path)
        contents = [_content(each) for each in parameters["files"]]
        for each in parameters["files"]:
            each["json"] = None  # the output repeats the parameters, and may be printed
        for each, content in zip(parameters["files"], contents):
            if content is not None:
                files.write(each, content)
        for path in parameters["existing"]:
            files.restrict(path)
        checksums = {path: _digest(_read(path)) for path in parameters["digests"]}
    except OSError as error:
        module.fail_json(msg=str(error))
    digest = _digest("".join([*map(_digest, contents), *checksums.values()]).encode())
    result: Dict[str, Any] = {
        "changed": bool(files.changed),
        "digest": digest,
        "checksums": checksums,
        "paths": files.changed,
    }
    if module._diff:  # noqa: SLF001 - Ansible has no public name for it
        result["diff"] = files.differences
    module.exit_json(**result)


if __name__ == "__main__":
    main()
