"""Where the settings of a program come from."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from face_app.common.settings.section import LogLevel

PREFIX = "FACE_APP_"
CONFIG_VARIABLE = "FACE_APP_CONFIG"
OTHER_VARIABLES = {CONFIG_VARIABLE, "FACE_APP_EXTRA_CA"}
"""Names in the environment that are no settings; the second one is the playbooks'."""


class Program(BaseSettings):
    """Settings of one program."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    log: LogLevel = Field("info", description="Least severity that is logged.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, then environment, then TOML file."""
        file = os.environ.get(CONFIG_VARIABLE)
        toml = TomlConfigSettingsSource(settings_cls, Path(file)) if file else None
        return (init_settings, env_settings) + ((toml,) if toml else ())
