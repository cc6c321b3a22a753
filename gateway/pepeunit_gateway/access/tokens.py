"""JSON Web Tokens. Source: protocol/security.md 3.1, decisions.md 3 and 8.

    User      uuid, type, exp, gen?     from a login
    User      uuid, type, exp?, jti     a named token, for a program
    Unit      uuid, type, gen?          in env.json
    Backend   domain, type              a data pipe in the field, where PU_ALLOW_EXTERNAL_DATAPIPE lets it in

A unit's first token holds nothing variable, so it is byte for byte what the contract gives; `gen` appears only after a
reissue, and a token whose generation is not the stored one is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from uuid import NAMESPACE_DNS, UUID, uuid5

import jwt

from pepeunit_gateway.access.agents import AgentType
from pepeunit_gateway.errors import UnauthorizedError

__all__ = ["Claims", "named_token", "read_token", "unit_token", "user_token"]

_ALGORITHM = "HS256"
_MAX_LENGTH = 4096
_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says; `generation` is compared with the entity's stored one, `named_token` is looked up."""

    type: AgentType
    uuid: UUID
    generation: int
    named_token: UUID | None = None


def _encode(claims: dict[str, Any], secret: str, generation: int = 0) -> str:
    if generation:
        claims["gen"] = generation
    return jwt.encode(claims, secret, algorithm=_ALGORITHM)


def user_token(uuid: UUID, *, secret: str, generation: int, now: datetime, lifetime: timedelta) -> str:
    """Return a User's token that ends at `now` + `lifetime`."""
    expiry = int((now + lifetime).timestamp())
    return _encode({"uuid": str(uuid), "type": AgentType.USER.value, "exp": expiry}, secret, generation)


def named_token(user: UUID, token: UUID, *, secret: str, expiry: datetime | None) -> str:
    """Return the text of the User's named token `token`; without `expiry` it lasts until it is revoked."""
    claims: dict[str, Any] = {"uuid": str(user), "type": AgentType.USER.value}
    if expiry is not None:
        claims["exp"] = int(expiry.timestamp())
    return _encode({**claims, "jti": str(token)}, secret)


def unit_token(uuid: UUID, *, secret: str, generation: int) -> str:
    """Return a Unit's token, which does not expire."""
    return _encode({"uuid": str(uuid), "type": AgentType.UNIT.value}, secret, generation)


def read_token(token: str, *, secrets: Sequence[str], now: datetime, backend_domain: str | None = None) -> Claims:
    """Check signature and expiry and return the claims.

    Args:
        token: the text.
        secrets: the keys that may have signed it: the current one, and the previous one while it is kept.
        now: compared with `exp`.
        backend_domain: the domain that a Backend token must name; None refuses all of them.

    Raises:
        UnauthorizedError: `Token expired` or `Token is invalid`.
    """
    if len(token) > _MAX_LENGTH:
        raise UnauthorizedError("Token is invalid")
    try:
        decoded = _verified(token, secrets)
        claims = _backend(decoded, backend_domain) if decoded["type"] == AgentType.BACKEND else _holder(decoded)
    except (jwt.InvalidTokenError, ValueError, KeyError, TypeError, AttributeError):
        raise UnauthorizedError("Token is invalid") from None
    expiry = decoded.get("exp")
    if expiry is None:
        if claims.type is AgentType.USER and claims.named_token is None:
            raise UnauthorizedError("Token is invalid")
    elif not isinstance(expiry, int | float) or now.timestamp() >= expiry:
        raise UnauthorizedError("Token expired")
    return claims


def _verified(token: str, secrets: Sequence[str]) -> Mapping[str, Any]:
    """Return what the token says if one of the keys signed it."""
    for secret in secrets:
        try:
            return _decode(token, secret)
        except jwt.InvalidSignatureError:
            continue
    raise jwt.InvalidSignatureError


@lru_cache(_REMEMBERED)
def _decode(token: str, secret: str) -> Mapping[str, Any]:
    """Return what a token says that `secret` signed.

    That never changes, so it is remembered; whether the token has expired or was revoked is asked every time.
    """
    return MappingProxyType(jwt.decode(token, secret, algorithms=[_ALGORITHM], options={"verify_exp": False}))


def _backend(decoded: Mapping[str, Any], domain: str | None) -> Claims:
    if domain is None or decoded["domain"] != domain:
        raise ValueError("not a data pipe of this platform")
    return Claims(AgentType.BACKEND, uuid5(NAMESPACE_DNS, domain), 0)


def _holder(decoded: Mapping[str, Any]) -> Claims:
    agent_type = AgentType(decoded["type"])
    generation = decoded.get("gen", 0)
    named = decoded.get("jti")
    if agent_type not in (AgentType.USER, AgentType.UNIT) or not isinstance(generation, int):
        raise ValueError("neither a User's nor a Unit's token")
    if named is not None and agent_type is not AgentType.USER:
        raise ValueError("only Users have named tokens")
    return Claims(agent_type, UUID(decoded["uuid"]), generation, None if named is None else UUID(named))
