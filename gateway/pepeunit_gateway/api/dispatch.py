"""Serve declared endpoints: token and its scope, path, query, body, handler, answer, in this order.

Bytes of a body come before all of it: who asks is looked up once they are there, because a token may end while they
arrive. A token that never was one is refused without waiting for them. An Inflow alone is left to its handler.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter
from pydantic import ValidationError as PydanticError

from pepeunit_gateway.access.agents import BOT, Agent
from pepeunit_gateway.access.rules import require_token
from pepeunit_gateway.access.scopes import check_scope
from pepeunit_gateway.api.bodies import BODIES
from pepeunit_gateway.api.failures import invalid_input
from pepeunit_gateway.api.gate import GATE
from pepeunit_gateway.api.keys import TOKEN_HEADER
from pepeunit_gateway.api.reading import FORM_SLACK, query_values, read_upload, repeated_fields
from pepeunit_gateway.api.routing import Download, Encoded, Endpoint, Inflow, RouteTable, Token, Upload
from pepeunit_gateway.api.sending import make_download, send_download

__all__ = ["Admit", "Provider", "add_routes", "admit_all"]

Provider = Callable[[web.Request], Awaitable[Any]]
"""Makes a handler's parameter out of the request, e.g. the Agent out of its token."""

Admit = Callable[[web.Request], None]
"""Raises where the token alone tells that it is not valid; asks nobody."""


def admit_all(_request: web.Request) -> None:
    """Let every request wait for its body."""


class _Dispatcher:
    """One endpoint, ready to serve."""

    def __init__(
        self, endpoint: Endpoint, providers: Mapping[type, Provider], context: Mapping[str, Any], admit: Admit
    ) -> None:
        self._endpoint = endpoint
        self._admit = admit_all if endpoint.route.token is Token.NONE else admit
        self._context = dict(context)
        self._needs = [(name, providers[kind]) for name, kind in endpoint.needs.items()]
        self._path: dict[str, TypeAdapter[Any]] = {
            name: TypeAdapter(kind) for name, kind in endpoint.path_params.items()
        }
        self._repeated = repeated_fields(endpoint.query[1]) if endpoint.query else frozenset[str]()
        self._encoder: TypeAdapter[Any] | None = None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self._endpoint.route.token is Token.REQUIRED and not request.headers.get(TOKEN_HEADER):
            require_token(BOT)
        content = await self._receive(request)
        arguments: dict[str, Any] = {name: await provide(request) for name, provide in self._needs}
        self._check_scope(arguments)
        self._take_path(request, arguments)
        self._take_query(request, arguments)
        self._take_body(request, content, arguments)
        making = self._endpoint.handler(**arguments)
        made = await (make_download(request, making) if self._endpoint.answer is Download else making)
        return await self._answer(request, made)

    async def _receive(self, request: web.Request) -> bytes:
        endpoint = self._endpoint
        if endpoint.body is None and endpoint.upload is None:
            return b""
        if not request.content.is_eof():
            self._admit(request)
        limit = endpoint.route.max_body + (FORM_SLACK if endpoint.upload is not None else 0)
        with request.app[GATE].left():
            return await request.app[BODIES].receive(request, limit)

    def _check_scope(self, arguments: Mapping[str, Any]) -> None:
        route = self._endpoint.route
        for name, kind in self._endpoint.needs.items():
            if kind is Agent:
                check_scope(arguments[name], reading=route.reading, secret=route.secret, login_only=route.login_only)

    def _take_path(self, request: web.Request, arguments: dict[str, Any]) -> None:
        for name, adapter in self._path.items():
            try:
                arguments[name] = adapter.validate_strings(request.match_info[name])
            except PydanticError as error:
                raise invalid_input(error, "path", name) from None

    def _take_query(self, request: web.Request, arguments: dict[str, Any]) -> None:
        if self._endpoint.query is None:
            return
        name, model = self._endpoint.query
        values = query_values(request.query, self._repeated, model.model_fields)
        try:
            arguments[name] = model.model_validate(values, context=self._context)
        except PydanticError as error:
            raise invalid_input(error, "query") from None

    def _take_body(self, request: web.Request, content: bytes, arguments: dict[str, Any]) -> None:
        endpoint = self._endpoint
        if endpoint.upload is not None:
            upload = Upload(read_upload(request, content, endpoint.upload, endpoint.route.max_body))
            arguments[endpoint.upload] = upload
        elif endpoint.inflow is not None:
            arguments[endpoint.inflow] = Inflow(partial(_pour, request, endpoint.route.max_body))
        elif endpoint.body is not None:
            name, model = endpoint.body
            try:
                arguments[name] = model.model_validate_json(content, context=self._context)
            except PydanticError as error:
                raise invalid_input(error, "body") from None

    async def _answer(self, request: web.Request, value: Any) -> web.StreamResponse:
        endpoint = self._endpoint
        if isinstance(value, Download):
            return await send_download(request, value, endpoint.route.status)
        if endpoint.answer is type(None):
            return web.Response(status=endpoint.route.status)
        if isinstance(value, Encoded):
            return web.Response(status=endpoint.route.status, body=value.body, content_type="application/json")
        if self._encoder is None:  # built with the first answer, so that a start does not wait for it
            self._encoder = TypeAdapter(endpoint.answer)
        body = self._encoder.dump_json(value)
        return web.Response(status=endpoint.route.status, body=body, content_type="application/json")


async def _pour(request: web.Request, limit: int, take: Callable[[bytes], None]) -> None:
    with request.app[GATE].left():
        await request.app[BODIES].pour(request, limit, take)


def _check(endpoint: Endpoint, providers: Mapping[type, Provider], names: set[str]) -> None:
    where = f"{endpoint.route.method} {endpoint.route.path}"
    missing = [name for name, kind in endpoint.needs.items() if kind not in providers]
    if missing:
        raise TypeError(f"{where}: no provider for {', '.join(missing)}")
    if endpoint.name in names:
        raise TypeError(f"{where}: a second handler is named {endpoint.name}; names are the operations' ids")
    names.add(endpoint.name)


def _refusal(allowed: frozenset[str]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def refuse(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, allowed)

    return refuse


def _refuse_others(app: web.Application, declared: Mapping[str, frozenset[str]]) -> None:
    """Answer 405 where a path without placeholders is asked with a method that it does not have.

    Without this `GET /users/auth` would be taken for the user whose uuid is "auth".
    """
    for path, methods in declared.items():
        app.router.add_route("*", path, _refusal(methods | {"HEAD"} if "GET" in methods else methods))


def add_routes(
    app: web.Application,
    tables: Iterable[RouteTable],
    *,
    prefix: str,
    providers: Mapping[type, Provider],
    context: Mapping[str, Any] = MappingProxyType({}),
    admit: Admit = admit_all,
) -> tuple[Endpoint, ...]:
    """Add every endpoint of `tables` below `prefix` and return them, for the OpenAPI document.

    Args:
        app: gets the routes; HEAD comes with GET.
        tables: the declarations.
        prefix: the path before every route.
        providers: makes the parameters that come neither from the path, the query nor the body, by their type.
        context: handed to the validators of query and body.
        admit: asked before a body is waited for.

    Raises:
        TypeError: a handler needs something that no provider makes, or two handlers have one name.
    """
    endpoints = tuple(endpoint for table in tables for endpoint in table.endpoints)
    names: set[str] = set()
    literal: dict[str, frozenset[str]] = {}
    for endpoint in endpoints:
        _check(endpoint, providers, names)
        serve = _Dispatcher(endpoint, providers, context, admit).serve
        for path in (endpoint.route.path, endpoint.route.also):
            if path is None:
                continue
            if not endpoint.path_params:
                literal[prefix + path] = literal.get(prefix + path, frozenset()) | {endpoint.route.method}
            if endpoint.route.method == "GET":
                app.router.add_get(prefix + path, serve)
            else:
                app.router.add_route(endpoint.route.method, prefix + path, serve)
    _refuse_others(app, literal)
    return endpoints
