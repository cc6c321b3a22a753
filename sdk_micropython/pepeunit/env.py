"""env.json: the settings and secrets of one unit. Source: protocol/device.md 1.1, decisions.md 9."""

import binascii

import pepeunit.files as files
import pepeunit.jsontext as jsontext
from pepeunit.errors import EnvError

_AGAIN = ": download env.json of this unit again"


class Env:
    """The values of env.json, read only: env.NAME, env["NAME"] or env.get("NAME", default). The repr names no value."""

    def __init__(self, values):
        self._values = values

    def __getattr__(self, name):
        if name[:2] == "__":
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(self._missing(name))

    def __getitem__(self, name):
        try:
            return self._values[name]
        except KeyError:
            raise KeyError(self._missing(name))

    def __contains__(self, name):
        return name in self._values

    def __repr__(self):
        return "<Env of %d keys>" % len(self._values)

    def get(self, name, default=None):
        return self._values.get(name, default)

    def text(self, name, default=""):
        """The value as text; default if it is absent or no text."""
        value = self._values.get(name, default)
        return value if isinstance(value, str) else default

    def number(self, name, default):
        """The value as a whole number, also when it stands there as text; default if it is none."""
        try:
            return int(self._values.get(name, default))
        except (TypeError, ValueError, OverflowError):
            return default

    def flag(self, name):
        value = self._values.get(name, False)
        return value.strip().lower() in ("true", "1") if isinstance(value, str) else bool(value)

    def _missing(self, name):
        return "env.json has no key %s: add it to env_example.json of the repository; it has %s" % (
            name,
            sorted(self._values),
        )


def token_uuid(token):
    """The unit's uuid, from the token's middle part (base64url, its padding cut)."""
    try:
        part = token.split(".")[1].replace("-", "+").replace("_", "/")
        uuid = jsontext.loads(binascii.a2b_base64(part + "=" * (-len(part) % 4)))["uuid"]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        uuid = None
    if not isinstance(uuid, str) or not uuid:
        raise EnvError("PU_AUTH_TOKEN in env.json is no token of a unit" + _AGAIN)
    return uuid


def parse(data, uuid=None):
    """The values of an env.json: a JSON object, or a JSON string that holds one.

    It must carry what the unit cannot live without: a token (of unit `uuid`, if given), the addresses of gateway and
    broker. EnvError otherwise; no value is part of its message.
    """
    try:
        values = jsontext.loads(data)
        if isinstance(values, str):
            values = jsontext.loads(values)
    except ValueError:
        raise EnvError("env.json is not JSON" + _AGAIN)
    if not isinstance(values, dict):
        raise EnvError("env.json is no JSON object" + _AGAIN)
    for key in ("PU_AUTH_TOKEN", "PU_DOMAIN", "PU_MQTT_HOST"):
        value = values.get(key)
        if not isinstance(value, str) or not value.strip():
            raise EnvError("env.json has no " + key + _AGAIN)
    env = Env(values)
    if not 0 < env.number("PU_MQTT_PORT", 1883) < 65536:
        raise EnvError("PU_MQTT_PORT in env.json is no port number" + _AGAIN)
    if env.text("PU_HTTP_TYPE", "https") not in ("http", "https"):
        raise EnvError("PU_HTTP_TYPE in env.json is neither http nor https" + _AGAIN)
    owner = token_uuid(values["PU_AUTH_TOKEN"])
    if uuid is not None and owner != uuid:
        raise EnvError("env.json belongs to unit " + owner + ", this is " + uuid)
    return values


def load(base):
    """The env.json of a unit's folder. A FAT card that lost it in a power cut still has the previous one."""
    data = files.read(base + "/env.json")
    if data is None:
        data = files.read(base + "/env.json.prev")
    if data is None:
        raise EnvError("there is no " + base + "/env.json: copy all that `pepeunit unit download NAME DIR` fetches")
    return Env(parse(data))


def store(base, data):
    """Put a new env.json, already checked, in the place of the old one, which is kept as env.json.prev."""
    path = base + "/env.json"
    old = files.read(path)
    if old == data:
        return
    if old is not None:
        files.write(path + ".prev", old)
    files.write(path, data)
