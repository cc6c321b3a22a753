"""What the OpenAPI document says about the API as a whole, in Markdown."""

from pepeunit_gateway.api.headers import REQUEST_ID_HEADER
from pepeunit_gateway.api.keys import TOKEN_HEADER

__all__ = ["about_api", "about_token"]

_API = """Devices, their programs from git, and the links between them.

A *repository* is registered once, a *Repo* says which of its commits are rolled out, and a *unit* is one device that
runs them. The *nodes* of a unit, its Inputs and Outputs, come from the program's `schema_example.json`; an *edge* leads
from an Output to an Input. The order is: `POST /users/auth`, `/repository_registry`, `/repos`, `/units`, then
`/unit_nodes/create_unit_node_edge`.

- **Base path**: `{prefix}`; the paths below come after it.
- **Token**: in the header `{header}`; *Authorize* says where it comes from. Without one you see what is public.
- **Errors**: `{{"detail": "<status>: <code>: <kind>: <message>"}}`. Status and code are stable, the message is for
  people. A path, query or body of the wrong form is 422 with a list of `type`, `loc` and `msg` in `detail`. 429 and 503
  say in `Retry-After` after how many seconds another try makes sense.
- **Lists**: `{{"count": <all of them>, "<plural>": [...]}}` with `offset` and `limit`; no limit or 0 means 100, 500 is
  the most. A filter with several values repeats its key: `?uuids=a&uuids=b`.
- **Changes**: PATCH changes the fields that are sent and no others.
- **Times**: ISO 8601 in UTC with `Z`; a time without an offset in a query is UTC.
- **Request id**: every answer carries `{request_id}`; the gateway's log has it in the lines about that request.
"""

_LOGIN = """A user logs in at `POST {prefix}/users/auth` and puts the `token` of the answer here. A unit's token is
`PU_AUTH_TOKEN` in its `env.json`.
"""


def about_api(prefix: str) -> str:
    """Return what the API is and what holds for all of it; `prefix` is the path before every route."""
    return _API.format(prefix=prefix or "/", header=TOKEN_HEADER, request_id=REQUEST_ID_HEADER)


def about_token(prefix: str) -> str:
    """Return where a token comes from."""
    return _LOGIN.format(prefix=prefix)
