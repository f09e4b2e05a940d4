"""Define the sources of settings and their priority."""

import os
from contextvars import ContextVar
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from face_app.common.settings.section import LogLevel

PREFIX = "FACE_APP_"
CONFIG_VARIABLE = "FACE_APP_CONFIG"
CONFIG_FILE: ContextVar[Path | None] = ContextVar("config_file", default=None)
"""File that `load` reads; it has priority over the file that the environment names."""
OTHER_VARIABLES = {CONFIG_VARIABLE, "FACE_APP_EXTRA_CA"}
"""Environment variables that are not settings; the playbooks use the second one."""


class Program(BaseSettings):
    """Is the base of the settings of a program."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    log: LogLevel = Field("info", description="Minimum severity that is logged.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources by priority: command line, environment, TOML file."""
        file = CONFIG_FILE.get() or os.environ.get(CONFIG_VARIABLE)
        toml = TomlConfigSettingsSource(settings_cls, Path(file)) if file else None
        return (init_settings, env_settings, toml) if toml else (init_settings, env_settings)
