#!/usr/bin/python
"""Gather the files that images are built from, and hash them."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import json
import os
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: build_context
short_description: Gather the files images are built from and hash them
description:
  - Hashes the files and the C(identity) of each image, so that the same input always has the same tag.
  - With I(destination) it also packs the files of each into a tar there, the build context. Runs on the controller.
options:
  root:
    description: Folder to which all paths below are relative.
    type: path
    required: true
  images:
    description:
      - For each image its C(name), and its C(dockerfile) relative to I(root), which becomes C(Dockerfile).
      - C(sources), files and folders that go into the context, under the same relative path. Links are followed.
      - C(exclude), shell patterns of names, and of paths relative to I(root), that stay out. Hidden files and
        C(__pycache__) always stay out.
      - C(identity), further input of the build, such as build arguments, the id of the base image, the platform.
    type: list
    elements: dict
    required: true
  extra_ca:
    description:
      - A bundle of CA certificates to trust during the build; becomes C(extra-ca.crt), an empty file by default.
      - The bundle does not change the image, so it is not part of the hash.
    type: path
    default: ""
  destination:
    description: Folder to pack each context into, as C(NAME.tar.gz). By default the module writes nothing.
    type: path
author:
  - The face-app authors
"""

EXAMPLES = r"""
- name: Name the images by their content
  build_context:
    root: "{{ playbook_dir }}"
    images:
      - name: capture
        dockerfile: files/Dockerfile.capture
        sources: [requirements/edge.txt, roles/capture/files/face_app]
        exclude: [roles/capture/files/face_app/cloud]
        identity: {base: "sha256:..."}
  delegate_to: localhost
  register: contexts
"""

RETURN = r"""
hashes:
  description: By name, the first 12 hex digits of the SHA-256 over all paths, contents and the identity.
  type: dict
  returned: always
files:
  description: By name, the paths in the context, without I(extra_ca).
  type: dict
  returned: always
"""

ALWAYS_EXCLUDED = (".*", "__pycache__", "*.pyc", "*~")


class ContextError(Exception):
    """Reports that a source cannot be used; the message names the source."""


@dataclass(frozen=True)
class Entry:
    """Describes one file of the context.

    Attributes:
        path: Path in the context, with forward slashes.
        content: Bytes of the file, read once: what is hashed is what is packed.
        executable: Whether the owner may run the file. The rest of the mode comes from the controller's umask.
    """

    path: str
    content: bytes
    executable: bool

    @classmethod
    def of(cls, path: str, source: Path) -> Entry:
        """Read a file."""
        if not source.is_file():
            raise ContextError(f"{source}: not a file; correct the catalogue of images or restore it")
        return cls(path, source.read_bytes(), bool(source.stat().st_mode & stat.S_IXUSR))

    def digest(self) -> str:
        """Return the SHA-256 of the content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def collect(root: Path, dockerfile: str, sources: list[str], exclude: list[str]) -> list[Entry]:
    """Read the files of a context, sorted by path.

    Raises:
        ContextError: A source is missing.
        OSError: A folder or a file cannot be read.
    """
    entries = [Entry.of("Dockerfile", root / dockerfile)]
    for source in sources:
        if not (root / source).is_dir():
            entries.append(Entry.of(source, root / source))
            continue
        for folder, folders, names in os.walk(root / source, onerror=_stop, followlinks=True):
            here = Path(folder).relative_to(root)
            folders[:] = [name for name in folders if not _is_excluded(here / name, exclude)]
            included = [here / name for name in names if not _is_excluded(here / name, exclude)]
            entries += [Entry.of(path.as_posix(), root / path) for path in included]
    return sorted(entries, key=lambda entry: entry.path)


def _stop(error: OSError) -> None:
    raise error


def _is_excluded(path: Path, exclude: list[str]) -> bool:
    patterns = (*ALWAYS_EXCLUDED, *exclude)
    return any(fnmatch.fnmatch(path.name, each) or fnmatch.fnmatch(path.as_posix(), each) for each in patterns)


def content_hash(entries: list[Entry], identity: dict[str, object]) -> str:
    """Return the first 12 hex digits of the hash of a context."""
    total = hashlib.sha256()
    for entry in entries:
        total.update(f"{entry.path}\0{entry.executable:d}\0{entry.digest()}\n".encode())
    total.update(json.dumps(identity, sort_keys=True).encode())
    return total.hexdigest()[:12]


def pack(entries: list[Entry], extra_ca: Path | None, destination: Path) -> None:
    """Write the context as a tar.

    Raises:
        ContextError: The CA bundle is missing.
    """
    if extra_ca and not extra_ca.is_file():
        raise ContextError(f"{extra_ca}: no such CA bundle on the controller; correct extra_ca")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(destination, "w:gz", compresslevel=1) as tar:
        for entry in entries:
            _add(tar, entry.path, entry.content, 0o755 if entry.executable else 0o644)
        _add(tar, "extra-ca.crt", extra_ca.read_bytes() if extra_ca else b"", 0o644)


def _add(tar: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    # A new TarInfo has owner root and no time, so the tar does not contain owner and time of the checkout.
    member = tarfile.TarInfo(path)
    member.size = len(content)
    member.mode = mode
    tar.addfile(member, io.BytesIO(content))


def main() -> None:
    image = {
        "name": {"type": "str", "required": True},
        "dockerfile": {"type": "str", "required": True},
        "sources": {"type": "list", "elements": "str", "default": []},
        "exclude": {"type": "list", "elements": "str", "default": []},
        "identity": {"type": "dict", "default": {}},
    }
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "images": {"type": "list", "elements": "dict", "options": image, "required": True},
            "extra_ca": {"type": "path", "default": ""},
            "destination": {"type": "path"},
        },
        supports_check_mode=True,
    )
    given, hashes, files = module.params, {}, {}
    extra_ca = Path(given["extra_ca"]) if given["extra_ca"] else None
    try:
        for each in given["images"]:
            entries = collect(Path(given["root"]), each["dockerfile"], each["sources"], each["exclude"])
            hashes[each["name"]] = content_hash(entries, each["identity"])
            files[each["name"]] = [entry.path for entry in entries]
            if given["destination"] and not module.check_mode:
                pack(entries, extra_ca, Path(given["destination"]) / f"{each['name']}.tar.gz")
    except (ContextError, OSError) as error:
        module.fail_json(msg=str(error))
    # The tar is a cache on the controller, so writing it changes nothing on the target.
    module.exit_json(changed=False, hashes=hashes, files=files)


if __name__ == "__main__":
    main()
