"""Loads a plugin from its file, as Ansible does."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

PLUGINS = Path(__file__).parents[2] / "plugins"


def load_plugin(path: str) -> ModuleType:
    """Load a plugin by its path in the folder of plugins, such as ``filter/mosquitto.py``."""
    file = PLUGINS / path
    spec = spec_from_file_location(file.stem, file)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
