"""Load and validate the settings of a program."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings
from pydantic_settings import SettingsError as SourceSettingsError

from face_app.common.errors import SettingsError
from face_app.common.settings.cloud import CloudSettings
from face_app.common.settings.edge import EdgeSettings
from face_app.common.settings.gallery import GallerySettings
from face_app.common.settings.program import CONFIG_FILE, CONFIG_VARIABLE, OTHER_VARIABLES, PREFIX

Model = TypeVar("Model", bound=BaseSettings)

_UNKNOWN = "unknown setting; remove it or correct its name"


def load(model: type[Model], config: Path | None, overrides: Mapping[str, Any]) -> Model:
    """Load the settings of one program.

    Args:
        model: Settings model of the program.
        config: TOML file; None: the file that ``FACE_APP_CONFIG`` names, if it is set.
        overrides: Settings by dotted name, such as ``broker.host``; None values are ignored.

    Raises:
        SettingsError: A setting is unknown, missing or out of range. The message names the setting; of a value that is
            refused, it also says the value and why.
    """
    file = config or os.environ.get(CONFIG_VARIABLE)
    if file and not Path(file).is_file():
        raise SettingsError(f"{file}: no such settings file; change --config or {CONFIG_VARIABLE}")
    _refuse_unknown_environment_variables()
    previous = CONFIG_FILE.set(config)
    try:
        return model(**_nested(overrides))
    except ValidationError as error:
        raise SettingsError("; ".join(_describe(each) for each in error.errors())) from error
    except (SourceSettingsError, ValueError, OSError, RecursionError) as error:
        raise SettingsError(f"{file or 'environment'}: {error}") from error
    finally:
        CONFIG_FILE.reset(previous)


def _refuse_unknown_environment_variables() -> None:
    """Refuse unknown names in the environment; pydantic refuses them only in a file.

    Several programs may run in one environment, so the names of each are accepted.
    """
    known = {name for model in (EdgeSettings, CloudSettings, GallerySettings) for name in model.model_fields}
    for variable in sorted(os.environ.keys() - OTHER_VARIABLES):
        if variable.upper().startswith(PREFIX):
            name = variable[len(PREFIX) :].lower()
            if name.partition("__")[0] not in known:
                raise SettingsError(f"{variable}: {_UNKNOWN}")


def _nested(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Convert dotted names to nested dictionaries, and omit None values."""
    tree: dict[str, Any] = {}
    for dotted, value in overrides.items():
        if value is None:
            continue
        *sections, leaf = dotted.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[leaf] = value
    return tree


def _describe(error: Any) -> str:
    """Describe an error of pydantic on one line."""
    name = ".".join(str(part) for part in error["loc"]) or "settings"
    name = name if name.isprintable() else repr(name)  # a quoted name in TOML may contain a line break
    if error["type"] == "extra_forbidden":
        return f"{name}: {_UNKNOWN}"
    if error["type"] == "missing":
        return f"{name}: not set"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}: {message}" if isinstance(error["input"], dict) else f"{name} = {error['input']!r}: {message}"
