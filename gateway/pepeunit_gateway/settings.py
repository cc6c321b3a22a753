"""The PU_* variables as one typed object, read once at start and passed down.

Sources: protocol/configuration.md 8 (the contract), design.md "Settings of our own", decisions.md 19 and 22.
The process environment wins over a `.env` file in the working directory. What is unset and needed (addresses, secrets)
is derived or generated at the first start and kept in the data folder with mode 0600.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pepeunit_gateway.errors import SettingsError

__all__ = ["Settings", "read_settings", "unknown_variables"]

_PREFIX = "PU_"


def _default_data_dir() -> Path:
    """The XDG data folder (decisions.md 23); `make run` sets PU_DATA_DIR to ./data instead."""
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "pepeunit"


class Settings(BaseSettings):
    """Everything that can be set. An empty `domain`, `mqtt_host` or secret means "derive it" until `resolve` ran."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

    # Where things lie and listen
    data_dir: Path = Field(default_factory=_default_data_dir)
    save_repo_path: Path | None = None
    http_host: str = "127.0.0.1"
    http_port: int = Field(8080, ge=1, le=65535)
    mqtt_listen_host: str = ""
    mqtt_port: int = Field(1883, ge=1, le=65535)
    mqtt_host: str = ""
    domain: str = Field("", pattern=r"^[A-Za-z0-9.\-]*(:[0-9]{1,5})?$")
    secure: bool | None = None
    app_prefix: str = Field("/pepeunit", pattern=r"^(/[A-Za-z0-9_.-]+)*$")
    api_v1_prefix: str = Field("/api/v1", pattern=r"^(/[A-Za-z0-9_.-]+)*$")

    # Secrets
    secret_key: SecretStr = SecretStr("")
    encrypt_key: SecretStr = SecretStr("")

    # Parts
    broker: Literal["mosquitto", "emqx"] = "mosquitto"
    sqlalchemy_database_url: SecretStr = SecretStr("")
    redis_url: SecretStr = SecretStr("")
    clickhouse_database_url: SecretStr = SecretStr("")
    ff_datapipe_enable: bool = True
    ff_datapipe_default_last_value_enable: bool = True

    # People and access
    registration: Literal["closed", "open"] = "closed"
    auth_token_expiration: int = Field(2_678_400, ge=60)

    # Git
    git_allow_private: bool = False
    git_allow_file: str = ""
    repo_poll_interval: float = Field(60.0, ge=1.0, le=86_400.0)
    min_interval_sync_repository: float = Field(10.0, ge=0.0)
    max_external_repo_size: int = Field(50, ge=1)

    # Units
    state_send_interval: int = Field(60, ge=1)
    unit_log_expiration: int = Field(86_400, ge=60)
    max_cipher_length: int = Field(1_000_000, ge=1)
    max_pagination_size: int = Field(500, ge=100)

    # MQTT limits
    mqtt_keepalive: int = Field(60, ge=5, le=65_535)
    mqtt_max_clients: int = Field(10_000, ge=1)
    mqtt_max_client_id_len: int = Field(512, ge=36, le=65_535)
    mqtt_max_payload_size: int = Field(256, ge=1, le=262_143)
    mqtt_max_topic_levels: int = Field(5, ge=5, le=128)
    mqtt_max_qos: int = Field(2, ge=0, le=2)

    # DataPipe; the contract flushes every 5 s, here values are to be seen at once
    dp_buffer_flush_interval: float = Field(0.25, gt=0.0, le=60.0)
    dp_buffer_max_size: int = Field(1000, ge=1, le=20_000)
    dp_config_sync_interval: float = Field(60.0, ge=1.0, le=3600.0)

    # Logs
    log_format: Literal["json", "plain"] = "json"
    min_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values only from what `read_settings` hands over, so that one place decides about precedence."""
        del settings_cls
        return (init_settings,)

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and len(value.get_secret_value()) < 32:  # noqa: PLR2004 - 32 characters, said in the text
            raise ValueError("must have at least 32 characters")
        return value

    @model_validator(mode="after")
    def _parts_that_exist(self) -> Self:
        if self.broker != "mosquitto":
            raise ValueError("PU_BROKER=emqx is not available yet; unset PU_BROKER to use the managed mosquitto")
        url = self.sqlalchemy_database_url.get_secret_value()
        if url and urlsplit(url).scheme.split("+")[0] != "sqlite":
            raise ValueError(
                "PU_SQLALCHEMY_DATABASE_URL: only SQLite is available yet; unset it to use the file in PU_DATA_DIR"
            )
        if self.redis_url.get_secret_value():
            raise ValueError("PU_REDIS_URL: Redis is not available yet; unset it to use the bus in process")
        if self.clickhouse_database_url.get_secret_value():
            raise ValueError(
                "PU_CLICKHOUSE_DATABASE_URL: ClickHouse is not available yet; unset it to keep telemetry in SQL"
            )
        return self

    @property
    def git_file_folders(self) -> tuple[Path, ...]:
        """The folders of PU_GIT_ALLOW_FILE (separated by `:`), below which file:// repositories may lie."""
        return tuple(Path(part).resolve() for part in self.git_allow_file.split(os.pathsep) if part)

    @property
    def repo_path(self) -> Path:
        """Where git mirrors lie."""
        return self.save_repo_path or self.data_dir / "repo_cache"

    @property
    def listen_host_mqtt(self) -> str:
        """Where the front door listens; as the API where PU_MQTT_LISTEN_HOST is unset."""
        return self.mqtt_listen_host or self.http_host

    @property
    def http_type(self) -> str:
        """The scheme that devices and people use."""
        return "https" if self.secure else "http"

    @property
    def api_prefix(self) -> str:
        """The path before every route of the REST API."""
        return self.app_prefix + self.api_v1_prefix

    @property
    def api_url(self) -> str:
        """The base address of the REST API."""
        return f"{self.http_type}://{self.domain}{self.api_prefix}"

    @property
    def max_payload_bytes(self) -> int:
        """PU_MQTT_MAX_PAYLOAD_SIZE in bytes."""
        return self.mqtt_max_payload_size * 1024


def _collect(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the PU_* variables of `.env` in `folder` and of `environ`; the latter wins; empty counts as unset."""
    values = {name: value or "" for name, value in dotenv_values(folder / ".env").items()}
    values.update(environ)
    return {name: value for name, value in values.items() if name.startswith(_PREFIX) and value != ""}


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        message = problem["msg"].removeprefix("Value error, ")
        name = f"{_PREFIX}{str(problem['loc'][0]).upper()}: " if problem["loc"] else ""
        lines.append(f"  {name}{message}")
    return "The settings are wrong; correct or unset:\n" + "\n".join(lines)


def read_settings(environ: Mapping[str, str], folder: Path) -> Settings:
    """Read and check all variables at once.

    Raises:
        SettingsError: names every wrong variable in one message, never its value.
    """
    values: dict[str, Any] = {
        name.removeprefix(_PREFIX).lower(): value for name, value in _collect(environ, folder).items()
    }
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def unknown_variables(environ: Mapping[str, str], folder: Path) -> list[str]:
    """Return the names of PU_* variables that are set and have no effect in this version, sorted."""
    known = {_PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(name for name in _collect(environ, folder) if name not in known)
