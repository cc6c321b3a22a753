"""What is not an entity: the document and its page, the platform's card, health and readiness.

GET <prefix>/api/v1/openapi.json    the document
GET <prefix>/docs                   Swagger UI, served from the installed package swagger-ui-py; works offline
GET /, <prefix>/docs/               lead to that page; / only where it is not the card
GET <prefix>                        the platform's card (decisions.md 11)
GET /healthz, /readyz               for supervisors: the process answers; its parts are ready
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from html import escape
from importlib.metadata import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from pydantic_core import to_json
from sqlalchemy.exc import SQLAlchemyError

from pepeunit_gateway.api.failures import RequestError
from pepeunit_gateway.api.openapi import build_document
from pepeunit_gateway.api.routing import Endpoint
from pepeunit_gateway.errors import PepeunitError, StartError
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.outages import is_away, is_busy

__all__ = ["Readiness", "add_pages"]

Readiness = Callable[[], Awaitable[Mapping[str, str] | None]]
"""Returns when every part is ready, with the state of parts that may be away; raises otherwise."""

_READINESS_TIMEOUT = 3.0
_DESCRIPTION = (
    "A self-hosted platform for fleets of small devices: their programs from git, the links between them, and what "
    "they measure."
)
_ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="stylesheet" href="{base}/docs/static/swagger-ui.css">
<link rel="icon" type="image/png" href="{base}/docs/static/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{base}/docs/static/swagger-ui-bundle.js"></script>
<script src="{base}/docs/static/start.js"></script>
</body>
</html>
"""
_START = """window.onload = () => {
  SwaggerUIBundle({
    url: %s, dom_id: "#swagger-ui", deepLinking: true, persistAuthorization: true, validatorUrl: null,
    defaultModelsExpandDepth: 0
  });
};
"""
_FLAGS = (
    "telegram_bot_enable",
    "grafana_integration_enable",
    "datapipe_enable",
    "datapipe_default_last_value_enable",
    "prometheus_enable",
)

log = structlog.get_logger(__name__)


def _asset_folder() -> Path:
    """Find swagger-ui-py's files without importing the package, which would load template engines."""
    spec = find_spec("swagger_ui")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "static"
        if all((folder / name).is_file() for name in _ASSETS):
            return folder
    raise StartError(
        "The files of swagger-ui-py are missing; install them: pip install '.[gateway]' in a checkout of Pepeunit"
    )


@cache
def _about() -> dict[str, str]:
    found = metadata("pepeunit")
    return {
        "name": "pepeunit",
        "version": found["Version"],
        "description": _DESCRIPTION,
        "license": found["License-Expression"],
        "authors": found["Author"],
    }


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=to_json(value), content_type="application/json")


def _card(settings: Settings) -> dict[str, Any]:
    about = _about()
    base = f"{settings.http_type}://{settings.domain}{settings.app_prefix}"
    return {
        **about,
        "authors": [{"name": name.strip()} for name in about["authors"].split(",") if name.strip()],
        "swagger": f"{base}/docs",
        "graphql": None,
        "grafana": None,
        "telegram_bot": None,
        "feature_flags": {f"pu_ff_{name}": bool(getattr(settings, f"ff_{name}", False)) for name in _FLAGS},
    }


def _add_docs(app: web.Application, settings: Settings, endpoints: tuple[Endpoint, ...]) -> None:
    folder = _asset_folder()
    base = settings.app_prefix
    document_path = f"{settings.api_prefix}/openapi.json"
    page = _PAGE.format(title="Pepeunit API", base=escape(base))
    start = _START % to_json(document_path).decode()

    @cache
    def document() -> bytes:
        return to_json(build_document(endpoints, version=_about()["version"], prefix=settings.api_prefix))

    async def serve_document(_request: web.Request) -> web.Response:
        return web.Response(body=document(), content_type="application/json")

    async def serve_page(_request: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html", headers=_PAGE_HEADERS)

    async def serve_asset(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name == "start.js":
            return web.Response(text=start, content_type="text/javascript")
        if name not in _ASSETS:
            raise web.HTTPNotFound
        headers = {"Content-Type": _ASSETS[name], "Cache-Control": "public, max-age=86400"}
        return web.FileResponse(folder / name, headers=headers)

    async def lead_to_page(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"{base}/docs"})

    app.router.add_get(document_path, serve_document)
    app.router.add_get(f"{base}/docs", serve_page)
    app.router.add_get(f"{base}/docs/", lead_to_page)
    if base:
        app.router.add_get("/", lead_to_page)
    app.router.add_get(f"{base}/docs/static/{{name}}", serve_asset)


async def _check(readiness: Readiness) -> str | Mapping[str, str]:
    """Return why the gateway is not ready, or the state of what may be away."""
    try:
        async with asyncio.timeout(_READINESS_TIMEOUT):
            return await readiness() or {}
    except TimeoutError:
        return f"the check took more than {_READINESS_TIMEOUT:g} s"
    except PepeunitError as error:
        return error.message
    except Exception as error:  # noqa: BLE001 - a probe reports whatever is wrong; the log has its name
        log.warning("api.readiness.error", error=type(error).__name__)
        if isinstance(error, SQLAlchemyError) and is_busy(error):
            return f"the database {'does not answer' if is_away(error) else 'is busy'}"
        return "a part of the gateway fails; the log of the gateway tells which"


def add_pages(app: web.Application, settings: Settings, endpoints: tuple[Endpoint, ...], readiness: Readiness) -> None:
    """Add the routes above.

    Raises:
        StartError: swagger-ui-py is not installed.
    """
    _add_docs(app, settings, endpoints)

    async def serve_card(_request: web.Request) -> web.Response:
        return _json(_card(settings))

    async def serve_health(_request: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def serve_readiness(_request: web.Request) -> web.Response:
        found = await _check(readiness)
        if isinstance(found, str):
            log.warning("api.readiness.failed", reason=found)
            raise RequestError(503, found)
        return _json({"status": "ready", **found})

    app.router.add_get(settings.app_prefix or "/", serve_card)
    app.router.add_get("/healthz", serve_health)
    app.router.add_get("/readyz", serve_readiness)
