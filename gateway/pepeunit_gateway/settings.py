"""The PU_* variables as one typed object, read once at start and passed down.

Sources: protocol/configuration.md 8 (the contract), design.md "Settings of our own", decisions.md 19 and 22.
The process environment wins over a `.env` file in the working directory. What is unset and needed (addresses, secrets)
is derived or generated at the first start and kept in the data folder with mode 0600.
"""

import os
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pepeunit_gateway.crons import check_cron
from pepeunit_gateway.errors import SettingsError
from pepeunit_gateway.hosts import (
    Network,
    check_database_address,
    check_domain,
    check_host,
    read_networks,
    read_origins,
)

__all__ = ["Settings", "read_settings", "unknown_variables"]

_PREFIX = "PU_"

_working_folder: ContextVar[Path] = ContextVar("working_folder")
"""What relative paths are relative to while `read_settings` works; the current folder otherwise."""


def _default_data_dir() -> Path:
    """The XDG data folder (decisions.md 23), a relative one counts as unset; `make run` sets PU_DATA_DIR instead."""
    base = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (base if base.is_absolute() else Path("~/.local/share")) / "pepeunit"


def _absolute(path: Path) -> Path:
    """Return the path with `~` replaced, absolute: parts of the gateway work in other folders, git among them."""
    try:
        expanded = path.expanduser()
    except RuntimeError:
        raise ValueError("begins with the home folder of a user who has none; write the whole path") from None
    return expanded if expanded.is_absolute() else _working_folder.get(Path()).absolute() / expanded


def _absolute_folders(folders: str) -> str:
    return os.pathsep.join(str(_absolute(Path(part))) for part in folders.split(os.pathsep) if part)


_Folder = Annotated[Path, AfterValidator(_absolute)]
_Folders = Annotated[str, AfterValidator(_absolute_folders)]


class Settings(BaseSettings):
    """Everything that can be set. An empty `domain`, `mqtt_host` or secret means "derive it" until `resolve` ran."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

    # Where things lie and listen
    data_dir: _Folder = Field(default_factory=_default_data_dir, validate_default=True)
    save_repo_path: _Folder | None = None
    http_host: str = "127.0.0.1"
    http_port: int = Field(8080, ge=1, le=65535)
    mqtt_listen_host: str = ""
    mqtt_port: int = Field(1883, ge=1, le=65535)
    mqtt_host: Annotated[str, AfterValidator(check_host)] = ""
    domain: Annotated[str, AfterValidator(check_domain)] = ""
    secure: bool | None = None
    app_prefix: str = Field("/pepeunit", pattern=r"^(/[A-Za-z0-9_.-]+)*$")
    api_v1_prefix: str = Field("/api/v1", pattern=r"^(/[A-Za-z0-9_.-]+)+$")  # empty, two /metrics would be one path

    # Secrets
    secret_key: SecretStr = SecretStr("")
    secret_key_previous: SecretStr = SecretStr("")
    encrypt_key: SecretStr = SecretStr("")
    static_salt: SecretStr = SecretStr("")

    # Parts
    broker: Literal["mosquitto", "emqx"] = "mosquitto"
    sqlalchemy_database_url: SecretStr = SecretStr("")
    redis_url: SecretStr = SecretStr("")
    clickhouse_database_url: SecretStr = SecretStr("")
    db_pool_size: int = Field(8, ge=2, le=100)
    ff_datapipe_enable: bool = True
    ff_datapipe_default_last_value_enable: bool = True
    ff_prometheus_enable: bool = True
    metrics_token: SecretStr = SecretStr("")
    allow_external_datapipe: bool = False

    # HTTP
    tls_cert: _Folder | None = None
    tls_key: _Folder | None = None
    trusted_proxies: str = ""
    cors_origins: str = ""

    # People and access
    registration: Literal["closed", "open"] = "closed"
    auth_token_expiration: int = Field(2_678_400, ge=60)
    login_max_failures: int = Field(10, ge=1)
    login_address_max_failures: int = Field(100, ge=1)
    login_failure_window: int = Field(900, ge=1)
    audit_expiration: int = Field(31_536_000, ge=3600)

    # Git
    git_allow_private: bool = False
    git_allow_file: _Folders = ""
    repo_poll_interval: float = Field(60.0, ge=1.0, le=86_400.0)
    min_interval_sync_repository: float = Field(10.0, ge=0.0)
    max_external_repo_size: int = Field(50, ge=1)
    github_token_name: str = ""
    github_token_pat: SecretStr = SecretStr("")
    archive_cache_size: int = Field(512, ge=1)

    # Jobs
    update_spread: float = Field(30.0, ge=0.0, le=3600.0)
    update_cron: Annotated[str, AfterValidator(check_cron)] = "0 * * * *"
    cleanup_cron: Annotated[str, AfterValidator(check_cron)] = "30 3 * * *"

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
    log_format: Literal["json", "plain"] | None = None
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

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        read_networks(value)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        read_origins(value)
        return value

    @field_validator("sqlalchemy_database_url")
    @classmethod
    def _known_database(cls, value: SecretStr) -> SecretStr:
        scheme, _, rest = value.get_secret_value().partition("://")
        if not scheme:
            return value
        if scheme.partition("+")[0] in ("postgresql", "postgres"):
            check_database_address(value.get_secret_value())
            return value
        if scheme.partition("+")[0] != "sqlite":
            raise ValueError("must begin with postgresql:// or sqlite://; unset it to use the file in PU_DATA_DIR")
        host, _, path = rest.partition("/")
        if host or not path or path.endswith("/") or path.startswith((":memory:", "file:", "?")):
            raise ValueError(
                "must name a file, like sqlite:////srv/pepeunit.sqlite3; a database in memory would be empty after "
                "every start. Unset it to use the file in PU_DATA_DIR"
            )
        return value

    @model_validator(mode="after")
    def _parts_that_exist(self) -> Self:
        if self.broker != "mosquitto":
            raise ValueError("PU_BROKER=emqx is not available yet; unset PU_BROKER to use the managed mosquitto")
        if self.clickhouse_database_url.get_secret_value():
            raise ValueError(
                "PU_CLICKHOUSE_DATABASE_URL: ClickHouse is not available yet; unset it to keep telemetry in SQL"
            )
        return self

    @model_validator(mode="after")
    def _certificate_and_key(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            missing, given = ("PU_TLS_KEY", "PU_TLS_CERT") if self.tls_key is None else ("PU_TLS_CERT", "PU_TLS_KEY")
            raise ValueError(f"{missing} is missing: HTTPS needs a certificate and its key; set it, or unset {given}")
        return self

    @property
    def trusted_networks(self) -> tuple[Network, ...]:
        """The networks of PU_TRUSTED_PROXIES."""
        return read_networks(self.trusted_proxies)

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins of PU_CORS_ORIGINS; `*` alone for all."""
        return read_origins(self.cors_origins)

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
    """Read and check all variables at once; relative paths among them lie in `folder`.

    Raises:
        SettingsError: names every wrong variable in one message, never its value.
    """
    values: dict[str, Any] = {
        name.removeprefix(_PREFIX).lower(): value for name, value in _collect(environ, folder).items()
    }
    relative_to = _working_folder.set(folder)
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    finally:
        _working_folder.reset(relative_to)


def unknown_variables(environ: Mapping[str, str], folder: Path) -> list[str]:
    """Return the names of PU_* variables that are set and have no effect in this version, sorted."""
    known = {_PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(name for name in _collect(environ, folder) if name not in known)
