"""The REST calls of a unit. Source: protocol/device.md 2.2."""

import json

import pepeunit.http as http
import pepeunit.jsontext as jsontext
from pepeunit.errors import RestError

DOCUMENT_LIMIT = 65536  # bytes of an env.json or schema.json
_STORAGE_LENGTH = 1000000  # characters of a stored text
_STORAGE_LIMIT = 6 * _STORAGE_LENGTH  # bytes of it as JSON
_LONGEST_RETRY_AFTER = 3600


class Rest:
    """Calls with the token of whatever env.json is in force: `env` is a function that gives it."""

    def __init__(self, env, uuid):
        self._env = env
        self._uuid = uuid

    async def open(self, path, method="GET", body=None):
        """Call; the Response of a call that succeeded, to be closed. RestError otherwise."""
        env = self._env()
        url = "%s://%s%s%s%s" % (
            env.text("PU_HTTP_TYPE", "https"),
            env.text("PU_DOMAIN"),
            env.text("PU_APP_PREFIX"),
            env.text("PU_API_ACTUAL_PREFIX"),
            path.replace("{unit}", self._uuid),
        )
        headers = [("accept", "application/json"), ("x-auth-token", env.text("PU_AUTH_TOKEN"))]
        if body is not None:
            headers.append(("content-type", "application/json"))
        response = await http.request(method, url, headers, body, env.text("PU_CA_CERT"))
        if 200 <= response.status < 300:
            return response
        response.close()
        wait = response.headers.get("retry-after", "")
        raise RestError(
            "the gateway answered %d to %s %s" % (response.status, method, path.split("?")[0]),
            response.status,
            min(int(wait), _LONGEST_RETRY_AFTER) if wait.isdigit() else 0,
        )

    async def get(self, path, limit=DOCUMENT_LIMIT):
        """The body of a GET."""
        response = await self.open(path)
        try:
            return await response.body(limit)
        finally:
            response.close()

    async def get_json(self, path, limit=DOCUMENT_LIMIT):
        try:
            return jsontext.loads(await self.get(path, limit))
        except ValueError:
            raise RestError("the answer to " + path + " is no JSON")

    async def post(self, path, value):
        response = await self.open(path, "POST", json.dumps(value).encode())
        response.close()


class Storage:
    """A text that the gateway keeps for the unit, at most 1,000,000 characters."""

    def __init__(self, rest):
        self._rest = rest

    async def load(self):
        """The stored text, "" if there is none."""
        value = await self._rest.get_json("/units/get_state_storage/{unit}", _STORAGE_LIMIT)
        if not isinstance(value, str):
            raise RestError("the gateway's answer is no stored text")
        return value

    async def save(self, text):
        """Store a text; "" clears it. ValueError if it is too long."""
        if len(text) > _STORAGE_LENGTH:
            raise ValueError("a stored text has at most %d characters, this one has %d" % (_STORAGE_LENGTH, len(text)))
        await self._rest.post("/units/set_state_storage/{unit}", {"state": text})
