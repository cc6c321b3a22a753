"""What git servers tell of pushes. Source: decisions.md 12."""

from uuid import UUID

from aiohttp import web
from pydantic import Field

from pepeunit_gateway.access.signatures import PushProof
from pepeunit_gateway.api.models import ReadModel
from pepeunit_gateway.api.proxies import ClientAddress
from pepeunit_gateway.api.routing import Inflow, RouteTable, Token
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.webhooks import REFUSED_PUSH, TOO_MANY_WRONG_PUSHES

__all__ = ["read_proof", "routes"]

routes = RouteTable("/webhooks", tag="Webhooks", about="Where git servers tell of pushes.", entity="repository")

_MAX_NOTICE = 26 * 1024 * 1024
"""GitHub sends up to 25 MiB."""

_SIGNATURE, _TOKEN, _EVENT = "X-Hub-Signature-256", "X-Gitlab-Token", "X-GitHub-Event"


async def read_proof(request: web.Request) -> PushProof:
    """Return what the headers of a notice say."""
    headers = request.headers
    return PushProof(headers.get(_SIGNATURE, ""), headers.get(_TOKEN, ""), headers.get(_EVENT, ""))


class NoticeRead(ReadModel):
    is_fetch_planned: bool = Field(description="false for a platform's ping alone")


@routes.post(
    "/{uuid}",
    token=Token.NONE,
    status=202,
    max_body=_MAX_NOTICE,
    errors=(REFUSED_PUSH, TOO_MANY_WRONG_PUSHES),
)
async def take_push_notice(
    registry: Registry, uuid: UUID, proof: PushProof, inflow: Inflow, client: ClientAddress
) -> NoticeRead:
    """Have a repository fetched because something was pushed.

    The body must be signed with the secret of the repository's webhook: `X-Hub-Signature-256: sha256=` and the
    HMAC-SHA256 of its bytes in hexadecimal, as GitHub, Gitea and Forgejo do; or `X-Gitlab-Token` is the secret itself.
    Nothing in the body is read. Notices within PU_MIN_INTERVAL_SYNC_REPOSITORY lead to one fetch after it. An unknown
    repository, one without a webhook and a wrong signature are all the same 401.
    """
    return NoticeRead(is_fetch_planned=await registry.webhooks.hear(uuid, proof, inflow.pour, client.site))
