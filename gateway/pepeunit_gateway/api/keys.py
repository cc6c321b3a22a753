"""What the aiohttp application carries for the handlers, and the header of the token."""

from aiohttp import web

from pepeunit_gateway.api.observing import Observer
from pepeunit_gateway.api.proxies import Proxies
from pepeunit_gateway.datapipe.service import Pipes
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.settings import Settings

__all__ = ["OBSERVER", "PIPES", "PROXIES", "REGISTRY", "SETTINGS", "TOKEN_HEADER"]

SETTINGS: web.AppKey[Settings] = web.AppKey("settings", Settings)
REGISTRY: web.AppKey[Registry] = web.AppKey("registry", Registry)
OBSERVER: web.AppKey[Observer] = web.AppKey("observer", Observer)
PROXIES: web.AppKey[Proxies] = web.AppKey("proxies", Proxies)
PIPES: web.AppKey[Pipes] = web.AppKey("pipes", Pipes)

TOKEN_HEADER = "x-auth-token"  # noqa: S105 - the header's name, not a token
