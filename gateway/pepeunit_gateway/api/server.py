"""The aiohttp application. It is made here and run by app.py."""

from collections.abc import Iterable, Mapping

from aiohttp import web

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.access.signatures import PushProof
from pepeunit_gateway.api import (
    audit,
    broker_hooks,
    data_pipes,
    edges,
    jobs,
    metrics,
    permissions,
    readme,
    repos,
    repository_registry,
    tokens,
    unit_files,
    unit_nodes,
    unit_tokens,
    units,
    users,
    webhooks,
)
from pepeunit_gateway.api.bodies import BODIES, Bodies
from pepeunit_gateway.api.cors import add_cors
from pepeunit_gateway.api.dispatch import Admit, Provider, add_routes, admit_all
from pepeunit_gateway.api.failures import answer_failures
from pepeunit_gateway.api.features import add_features
from pepeunit_gateway.api.gate import GATE, Gate
from pepeunit_gateway.api.headers import stamp_headers
from pepeunit_gateway.api.keys import OBSERVER, PIPES, PROXIES, REGISTRY, SETTINGS, TOKEN_HEADER
from pepeunit_gateway.api.models import MAX_PAGE_KEY
from pepeunit_gateway.api.observing import Observer, note_agent
from pepeunit_gateway.api.pages import Readiness, add_pages
from pepeunit_gateway.api.prometheus import Instrument, Instruments, Scrape, add_metrics
from pepeunit_gateway.api.proxies import ClientAddress, Proxies
from pepeunit_gateway.api.request_headers import IdempotencyKey
from pepeunit_gateway.api.request_metrics import RequestMetrics
from pepeunit_gateway.api.routing import RouteTable
from pepeunit_gateway.datapipe.service import Pipes
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.settings import Settings

__all__ = ["TABLES", "assemble", "create_app"]

TABLES: tuple[RouteTable, ...] = (
    users.routes,
    tokens.routes,
    repository_registry.routes,
    webhooks.routes,
    repos.routes,
    units.routes,
    unit_tokens.routes,
    unit_files.routes,
    readme.routes,
    broker_hooks.routes,
    unit_nodes.routes,
    edges.routes,
    data_pipes.routes,
    permissions.routes,
    audit.routes,
    jobs.routes,
    metrics.routes,
)
"""Every declared route of the API."""


async def _agent(request: web.Request) -> Agent:
    agent = await request.app[REGISTRY].agents.identify(request.headers.get(TOKEN_HEADER))
    note_agent(request, agent)
    return agent


def _admit(request: web.Request) -> None:
    request.app[REGISTRY].agents.check(request.headers.get(TOKEN_HEADER))


async def _registry(request: web.Request) -> Registry:
    return request.app[REGISTRY]


async def _pipes(request: web.Request) -> Pipes:
    return request.app[PIPES]


async def _client(request: web.Request) -> ClientAddress:
    return request.app[PROXIES].client(request)


_PROVIDERS: Mapping[type, Provider] = {
    Agent: _agent,
    Registry: _registry,
    Pipes: _pipes,
    PushProof: webhooks.read_proof,
}


def assemble(
    settings: Settings,
    tables: Iterable[RouteTable],
    providers: Mapping[type, Provider],
    readiness: Readiness,
    admit: Admit = admit_all,
) -> web.Application:
    """Make an application of declared routes, its document, its page and its probes."""
    gate = Gate()
    metrics = RequestMetrics() if settings.ff_prometheus_enable else None
    app = web.Application(middlewares=[answer_failures, gate.middleware()])
    app.on_response_prepare.append(stamp_headers)
    add_cors(app, settings.allowed_origins)
    app[SETTINGS] = settings
    app[GATE] = gate
    app[BODIES] = Bodies()
    app[PROXIES] = proxies = Proxies(settings.trusted_networks)
    app[OBSERVER] = Observer(proxies, metrics)
    endpoints = add_routes(
        app,
        tables,
        prefix=settings.api_prefix,
        providers={ClientAddress: _client, IdempotencyKey: IdempotencyKey.read, **providers},
        context={MAX_PAGE_KEY: settings.max_pagination_size},
        admit=admit,
    )
    add_pages(app, settings, endpoints, readiness)
    add_features(app, app_prefix=settings.app_prefix, api_prefix=settings.api_prefix)
    return app


def create_app(
    settings: Settings,
    registry: Registry,
    pipes: Pipes,
    readiness: Readiness,
    instruments: Instruments = Instruments(),  # noqa: B008 - frozen
) -> web.Application:
    """Make the application of the gateway.

    Args:
        settings: those of HTTP, the prefixes and PU_MAX_PAGINATION_SIZE are used.
        registry: the entities.
        pipes: the configuration and the stored values of data pipes.
        readiness: returns when every part is ready; `/readyz` gives it 3 s.
        instruments: what Prometheus is told beside the requests.
    """
    app = assemble(settings, TABLES, _PROVIDERS, readiness, _admit)
    app[REGISTRY] = registry
    app[PIPES] = pipes
    add_metrics(app, settings.app_prefix + "/metrics", _scrape(app, instruments), settings.metrics_token, _agent)
    return app


def _scrape(app: web.Application, instruments: Instruments) -> Scrape | None:
    requests, gate, bodies = app[OBSERVER].metrics, app[GATE], app[BODIES]
    if requests is None:
        return None
    inside = Instrument("pepeunit_http_requests_in_flight", "Requests that are being answered.", lambda: gate.inside)
    outside = Instrument("pepeunit_http_bodies_arriving", "Requests whose body arrives.", lambda: bodies.arriving)
    return Scrape(requests, Instruments((inside, outside, *instruments.figures), instruments.counts))
