"""The aiohttp application. It is made here and run by app.py."""

from collections.abc import Iterable, Mapping

from aiohttp import web

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.api import (
    audit,
    data_pipes,
    edges,
    permissions,
    repos,
    repository_registry,
    unit_files,
    unit_nodes,
    units,
    users,
)
from pepeunit_gateway.api.dispatch import Provider, add_routes
from pepeunit_gateway.api.failures import answer_failures, stamp_request_id
from pepeunit_gateway.api.keys import PIPES, PROXIES, REGISTRY, SETTINGS, TOKEN_HEADER
from pepeunit_gateway.api.models import MAX_PAGE_KEY
from pepeunit_gateway.api.pages import Readiness, add_pages
from pepeunit_gateway.api.proxies import ClientAddress, Proxies
from pepeunit_gateway.api.request_headers import IdempotencyKey
from pepeunit_gateway.api.routing import RouteTable
from pepeunit_gateway.datapipe.service import Pipes
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.settings import Settings

__all__ = ["TABLES", "assemble", "create_app"]

TABLES: tuple[RouteTable, ...] = (
    users.routes,
    repository_registry.routes,
    repos.routes,
    units.routes,
    unit_files.routes,
    unit_nodes.routes,
    edges.routes,
    data_pipes.routes,
    permissions.routes,
    audit.routes,
)
"""Every declared route of the API."""


async def _agent(request: web.Request) -> Agent:
    return await request.app[REGISTRY].agents.identify(request.headers.get(TOKEN_HEADER))


async def _registry(request: web.Request) -> Registry:
    return request.app[REGISTRY]


async def _pipes(request: web.Request) -> Pipes:
    return request.app[PIPES]


async def _client(request: web.Request) -> ClientAddress:
    return request.app[PROXIES].client(request)


def assemble(
    settings: Settings, tables: Iterable[RouteTable], providers: Mapping[type, Provider], readiness: Readiness
) -> web.Application:
    """Make an application of declared routes, its document, its page and its probes."""
    app = web.Application(middlewares=[answer_failures])
    app.on_response_prepare.append(stamp_request_id)
    app[SETTINGS] = settings
    app[PROXIES] = Proxies(settings.trusted_networks)
    endpoints = add_routes(
        app,
        tables,
        prefix=settings.api_prefix,
        providers={ClientAddress: _client, IdempotencyKey: IdempotencyKey.read, **providers},
        context={MAX_PAGE_KEY: settings.max_pagination_size},
    )
    add_pages(app, settings, endpoints, readiness)
    return app


def create_app(settings: Settings, registry: Registry, pipes: Pipes, readiness: Readiness) -> web.Application:
    """Make the application of the gateway.

    Args:
        settings: PU_APP_PREFIX, PU_API_V1_PREFIX and PU_MAX_PAGINATION_SIZE are used.
        registry: the entities.
        pipes: the configuration and the stored values of data pipes.
        readiness: returns when every part is ready; `/readyz` gives it 3 s.
    """
    app = assemble(settings, TABLES, {Agent: _agent, Registry: _registry, Pipes: _pipes}, readiness)
    app[REGISTRY] = registry
    app[PIPES] = pipes
    return app
