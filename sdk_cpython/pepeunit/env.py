"""env.json: the settings and secrets of one unit. Source: protocol/device.md 1.1, decisions.md 9."""

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import EnvError

__all__ = ["ENV_FILE", "Env", "parse_env", "read_env", "token_uuid"]

ENV_FILE = "env.json"
_SECRET_KEYS = ("PU_AUTH_TOKEN", "PU_SECRET_KEY", "PU_ENCRYPT_KEY")
_MAX_PORT = 65535


class Env:
    """The values of env.json, read only: `env.NAME`, `env["NAME"]` or `env.get("NAME", default)`.

    An update of env.json gives the unit a new Env; one that is kept stays what it was. The repr names no value.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(self._missing(name)) from None

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise KeyError(self._missing(name)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __repr__(self) -> str:
        return f"<Env of {len(self._values)} keys>"

    def get(self, name: str, default: Any = None) -> Any:
        """The value of `name`, or `default` if env.json has no such key."""
        return self._values.get(name, default)

    def text(self, name: str, default: str = "") -> str:
        """The value of `name` as text; `default` if it is absent or no text."""
        value = self._values.get(name, default)
        return value if isinstance(value, str) else default

    def number(self, name: str, default: int) -> int:
        """The value of `name` as a whole number, also when it stands there as text; `default` if it is none."""
        try:
            return int(self._values.get(name, default))
        except (TypeError, ValueError, OverflowError):
            return default

    def flag(self, name: str) -> bool:
        """True if the value of `name` is true, also when it stands there as text."""
        value = self._values.get(name, False)
        return value.strip().lower() in {"true", "1"} if isinstance(value, str) else bool(value)

    def secrets(self) -> tuple[str, ...]:
        """The values that must never reach a log."""
        found = (self.text(key) for key in _SECRET_KEYS)
        return tuple(value for value in found if value)

    def base_url(self) -> str:
        """Where the REST calls of this unit go, without a slash at the end. Source: protocol/device.md 2.2."""
        return (
            f"{self.text('PU_HTTP_TYPE', 'https')}://{self.text('PU_DOMAIN')}"
            f"{self.text('PU_APP_PREFIX')}{self.text('PU_API_ACTUAL_PREFIX')}"
        )

    def _missing(self, name: str) -> str:
        return (
            f"env.json has no key {name}: add it to env_example.json of the repository; it has {sorted(self._values)}"
        )


def token_uuid(token: str) -> str:
    """The uuid of the unit, from the token's middle part (base64url without padding). Raises EnvError if it is none."""
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        uuid = claims["uuid"]
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        uuid = None
    if not isinstance(uuid, str) or not uuid:
        raise EnvError("PU_AUTH_TOKEN in env.json is no token of a unit: download env.json of this unit again")
    return uuid


def parse_env(data: bytes, *, unit_uuid: str | None = None) -> dict[str, Any]:
    """The values of an env.json: a JSON object, or a JSON string that holds one.

    It must carry what the unit cannot live without: a token (of `unit_uuid`, if given), the addresses of gateway and
    broker. Raises EnvError otherwise; no value is part of its message.
    """
    try:
        values = json.loads(data)
        if isinstance(values, str):
            values = json.loads(values)
    except (ValueError, RecursionError):
        raise EnvError("env.json is not JSON: download env.json of this unit again") from None
    if not isinstance(values, dict):
        raise EnvError("env.json is no JSON object: download env.json of this unit again")
    for key in ("PU_AUTH_TOKEN", "PU_DOMAIN", "PU_MQTT_HOST"):
        value = values.get(key)
        if not isinstance(value, str) or not value.strip():
            raise EnvError(f"env.json has no {key}: download env.json of this unit again")
    if not 0 < Env(values).number("PU_MQTT_PORT", 1883) <= _MAX_PORT:
        raise EnvError("PU_MQTT_PORT in env.json is no port number: download env.json of this unit again")
    if Env(values).text("PU_HTTP_TYPE", "https") not in {"http", "https"}:
        raise EnvError("PU_HTTP_TYPE in env.json is neither http nor https: download env.json of this unit again")
    uuid = token_uuid(values["PU_AUTH_TOKEN"])
    if unit_uuid is not None and uuid != unit_uuid:
        raise EnvError(f"env.json belongs to unit {uuid}, this is {unit_uuid}")
    return values


def read_env(directory: Path) -> Env:
    """The env.json of a unit's directory. Raises EnvError when it is missing or broken."""
    path = directory / ENV_FILE
    try:
        return Env(parse_env(path.read_bytes()))
    except OSError as error:
        raise EnvError(
            f"cannot read {path} ({error.strerror}): a unit is made by `pepeunit unit download NAME DIR`, or by "
            "unpacking its archive"
        ) from None
