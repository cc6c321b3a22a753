"""A small client of the REST API, as any program of a user would write it."""

import json
from collections.abc import Mapping
from typing import Any, Self

import aiohttp

__all__ = ["Answer", "Rest", "RestError"]

JSON = Any
TIMEOUT = aiohttp.ClientTimeout(total=20)


class RestError(RuntimeError):
    """The API refused; the text holds its answer."""


class Answer:
    """Body and headers of a binary answer."""

    def __init__(self, body: bytes, headers: Mapping[str, str]) -> None:
        self.body = body
        self.headers = headers


class Rest:
    """Calls below one base address with one token; without a token the caller is nobody."""

    def __init__(self, base: str, token: str = "") -> None:
        self._base = base
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"x-auth-token": self._token} if self._token else {}
        self._session = aiohttp.ClientSession(timeout=TIMEOUT, headers=headers)
        return self

    async def __aexit__(self, *reason: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, path: str, **options: Any) -> JSON:
        """Return the JSON of the answer, None where it has no body."""
        answer = await self.fetch(method, path, **options)
        return json.loads(answer.body) if answer.body else None

    async def fetch(self, method: str, path: str, **options: Any) -> Answer:
        """Return the answer's bytes.

        Raises:
            RestError: the status is 400 or higher.
        """
        if self._session is None:
            raise RuntimeError("use Rest as an async context manager")
        async with self._session.request(method, self._base + path, **options) as response:
            body = await response.read()
            if response.status >= 400:
                raise RestError(f"{method} {path}: {response.status} {body.decode(errors='replace')[:500]}")
            return Answer(body, response.headers)

    async def get(self, path: str, **params: Any) -> JSON:
        return await self.call("GET", path, params={key: str(value) for key, value in params.items()})

    async def post(self, path: str, body: JSON = None, **options: Any) -> JSON:
        return await self.call("POST", path, json=body, **options)

    async def patch(self, path: str, body: JSON = None) -> JSON:
        return await self.call("PATCH", path, json=body)

    async def upload(self, path: str, text: str, **params: str) -> JSON:
        """POST a text as the multipart field `data`."""
        form = aiohttp.FormData()
        form.add_field("data", text, filename="data.yml", content_type="application/yaml")
        return await self.call("POST", path, params=params, data=form)
