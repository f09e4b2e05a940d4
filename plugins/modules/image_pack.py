#!/usr/bin/python
"""Pack an image without the layers that another host has."""

# Runs on the host that builds, whose Python may be 3.6.
import json
import tarfile
from pathlib import Path
from typing import List

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: image_pack
short_description: Pack an image without the layers that another host has
description:
  - Saves an image of this host's engine as a C(.tar.gz) for C(docker load). An engine loads a layer from the file
    only if it does not have the same layer upon the same layers, so those of I(present) stay out.
  - An existing file of the same image and layers is used again.
options:
  name:
    description: The image with its tag.
    type: str
    required: true
  present:
    description: Layers of each image of the other host, as C(docker image inspect) lists them in C(RootFS.Layers).
    type: list
    elements: list
    default: []
  directory:
    description: Folder for the file.
    type: path
    required: true
author:
  - The face-app authors
"""

EXAMPLES = r"""
- name: Pack the image
  image_pack:
    name: face-app-capture:0123456789ab
    directory: /var/cache/face-app/images/packed
"""

RETURN = r"""
path:
  description: The file.
  type: str
  returned: always
bytes:
  description: Its size.
  type: int
  returned: always
omitted:
  description: Number of layers that stayed out.
  type: int
  returned: always
"""


def common_layers(layers: List[str], present: List[List[str]]) -> int:
    """Count the first layers that another host has in the same order, which is all that its engine compares."""
    return max((_common(layers, each) for each in present), default=0)


def _common(layers: List[str], others: List[str]) -> int:
    length = min(len(layers), len(others))
    return next((number for number in range(length) if layers[number] != others[number]), length)


def repack(saved: Path, omitted: int, packed: Path) -> None:
    """Copy a file of ``docker save`` without its first layers."""
    with tarfile.open(str(saved)) as source:
        manifest = json.loads(source.extractfile("manifest.json").read().decode())  # type: ignore[union-attr]
        layers = manifest[0]["Layers"]  # type: List[str]
        # The same file may be a later layer too.
        left_out = set(layers[:omitted]) - set(layers[omitted:])
        with tarfile.open(str(packed), "w:gz", compresslevel=1) as target:
            for member in source:
                if member.name not in left_out:
                    target.addfile(member, source.extractfile(member) if member.isfile() else None)


def main() -> None:
    """Pack the image, unless the file exists."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "present": {"type": "list", "elements": "list", "default": []},
            "directory": {"type": "path", "required": True},
        },
        supports_check_mode=False,
    )
    name, directory = module.params["name"], Path(module.params["directory"])
    docker = module.get_bin_path("docker", required=True)
    _, output, _ = module.run_command(
        [docker, "image", "inspect", "--format={{json .RootFS.Layers}}", name], check_rc=True
    )
    omitted = common_layers(json.loads(output), module.params["present"])
    path = directory / f"{name.replace(':', '-')}-without-{omitted}.tar.gz"
    existed = path.exists()
    if not existed:
        saved, unfinished = path.with_suffix(".saved"), path.with_suffix(".unfinished")
        try:
            module.run_command([docker, "image", "save", "--output", str(saved), name], check_rc=True)
            repack(saved, omitted, unfinished)
            # Without privileges the login user fetches it; an image contains no secret.
            unfinished.chmod(0o644)
            unfinished.rename(path)
        except (OSError, tarfile.TarError) as error:
            module.fail_json(msg=f"cannot pack {name} on the host that builds: {error}")
        finally:
            for each in (saved, unfinished):
                if each.exists():
                    each.unlink()
    module.exit_json(changed=not existed, path=str(path), bytes=path.stat().st_size, omitted=omitted)


if __name__ == "__main__":
    main()
