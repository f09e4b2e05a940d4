"""Find the folder of an inventory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def inventory_folder(sources: Sequence[str]) -> str:
    """Return the folder of this run's inventory; `-i` may name the folder or a file in it.

    Args:
        sources: `ansible_inventory_sources`.
    """
    first = Path(sources[0])
    return str(first if first.is_dir() else first.parent)


class FilterModule:
    """Registers the filters with Ansible."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"inventory_folder": inventory_folder}
