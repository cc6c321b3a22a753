"""What the aiohttp application carries for the handlers, and the header of the token."""

from aiohttp import web

from pepeunit_gateway.settings import Settings

__all__ = ["SETTINGS", "TOKEN_HEADER"]

SETTINGS: web.AppKey[Settings] = web.AppKey("settings", Settings)

TOKEN_HEADER = "x-auth-token"  # noqa: S105 - the header's name, not a token
