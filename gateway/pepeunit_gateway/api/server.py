"""The aiohttp application. It is made here and run by app.py."""

from collections.abc import Iterable, Mapping

from aiohttp import web

from pepeunit_gateway.api.dispatch import Provider, add_routes
from pepeunit_gateway.api.failures import answer_failures, stamp_request_id
from pepeunit_gateway.api.keys import SETTINGS
from pepeunit_gateway.api.models import MAX_PAGE_KEY
from pepeunit_gateway.api.pages import Readiness, add_pages
from pepeunit_gateway.api.routing import RouteTable
from pepeunit_gateway.settings import Settings

__all__ = ["assemble"]


def assemble(
    settings: Settings, tables: Iterable[RouteTable], providers: Mapping[type, Provider], readiness: Readiness
) -> web.Application:
    """Make an application of declared routes, its document, its page and its probes."""
    app = web.Application(middlewares=[answer_failures])
    app.on_response_prepare.append(stamp_request_id)
    app[SETTINGS] = settings
    endpoints = add_routes(
        app,
        tables,
        prefix=settings.api_prefix,
        providers=providers,
        context={MAX_PAGE_KEY: settings.max_pagination_size},
    )
    add_pages(app, settings, endpoints, readiness)
    return app
