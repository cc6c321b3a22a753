"""A git server's side of a webhook: sign a notice and send it as each platform does."""

import hmac
from dataclasses import dataclass
from typing import Any

from tests.support.gateway import Api, Reply

__all__ = ["Webhook", "signature"]

_PUSH = b'{"ref": "refs/heads/main", "after": "0000000000000000000000000000000000000000"}'


def signature(secret: str, body: bytes) -> str:
    """Return the value of X-Hub-Signature-256."""
    return "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()


@dataclass(frozen=True)
class Webhook:
    """One registry's webhook, told through `api`, whose token is not sent."""

    api: Api
    registry: str
    secret: str

    @classmethod
    async def make(cls, owner: Api, registry: str) -> "Webhook":
        """Make a secret over REST."""
        made = await owner.made(f"/repository_registry/webhook/{registry}", None)
        assert made["url"].endswith(f"/pepeunit/api/v1/webhooks/{registry}"), made["url"]
        return cls(owner.with_token(None), registry, made["secret"])

    async def github(self, body: bytes = _PUSH, *, event: str = "push", **more: Any) -> Reply:
        """As GitHub, Gitea and Forgejo."""
        headers = {"X-Hub-Signature-256": signature(self.secret, body), "X-GitHub-Event": event}
        return await self.send(body, {**headers, "Content-Type": "application/json"}, **more)

    async def gitlab(self, body: bytes = _PUSH) -> Reply:
        headers = {"X-Gitlab-Token": self.secret, "X-Gitlab-Event": "Push Hook", "Content-Type": "application/json"}
        return await self.send(body, headers)

    async def send(self, body: Any, headers: dict[str, str], **more: Any) -> Reply:
        return await self.api.call("POST", f"/webhooks/{self.registry}", data=body, headers=headers, **more)
