"""Parts of the platform that are not there: their paths answer 405 with code 15, as parts do that are off.

The document does not list them. Source: protocol/rest.md 2.7, 2.9 and 2.10, decisions.md 22.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from pepeunit_gateway.errors import FeatureFlagError

__all__ = ["add_features"]

_IN_API = {
    "/bot": "the Telegram bot is",
    "/grafana/{rest:.*}": "the Grafana integration is",
    "/unit_nodes/get_data_pipe_data_csv/{uuid}": "the export of values as CSV is",
    "/unit_nodes/set_data_pipe_data_csv": "the import of values from CSV is",
}
_IN_APP = {"/graphql": "GraphQL is"}


def _refusal(part: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        raise FeatureFlagError(f"{part} not available in this version of the gateway")

    return refuse


def add_features(app: web.Application, *, app_prefix: str, api_prefix: str) -> None:
    """Add the paths, for every method.

    Args:
        app: gets them; whatever else it has comes first.
        app_prefix: PU_APP_PREFIX.
        api_prefix: the same and PU_API_V1_PREFIX.
    """
    for prefix, parts in ((api_prefix, _IN_API), (app_prefix, _IN_APP)):
        for path, part in parts.items():
            app.router.add_route("*", prefix + path, _refusal(part))
