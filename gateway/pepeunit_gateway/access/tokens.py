"""JSON Web Tokens of users and units. Source: protocol/security.md 3.1, decisions.md 3.

A unit's first token holds nothing variable, so it is byte for byte what the contract gives; `gen` appears only after a
reissue, and a token whose generation is not the stored one is refused.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt

from pepeunit_gateway.access.agents import AgentType
from pepeunit_gateway.errors import UnauthorizedError

__all__ = ["Claims", "read_token", "unit_token", "user_token"]

_ALGORITHM = "HS256"
_MAX_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says; `generation` is compared with the entity's stored one."""

    type: AgentType
    uuid: UUID
    generation: int


def _encode(claims: dict[str, Any], secret: str, generation: int) -> str:
    if generation:
        claims["gen"] = generation
    return jwt.encode(claims, secret, algorithm=_ALGORITHM)


def user_token(uuid: UUID, *, secret: str, generation: int, now: datetime, lifetime: timedelta) -> str:
    """Return a User's token that ends at `now` + `lifetime`."""
    expiry = int((now + lifetime).timestamp())
    return _encode({"uuid": str(uuid), "type": AgentType.USER.value, "exp": expiry}, secret, generation)


def unit_token(uuid: UUID, *, secret: str, generation: int) -> str:
    """Return a Unit's token, which does not expire."""
    return _encode({"uuid": str(uuid), "type": AgentType.UNIT.value}, secret, generation)


def read_token(token: str, *, secret: str, now: datetime) -> Claims:
    """Check signature and expiry and return the claims.

    Raises:
        UnauthorizedError: `Token expired` or `Token is invalid`.
    """
    if len(token) > _MAX_LENGTH:
        raise UnauthorizedError("Token is invalid")
    try:
        claims = jwt.decode(token, secret, algorithms=[_ALGORITHM], options={"verify_exp": False})
        expiry = claims.get("exp")
        agent_type = AgentType(claims["type"])
        uuid = UUID(claims["uuid"])
        generation = claims.get("gen", 0)
    except (jwt.InvalidTokenError, ValueError, KeyError, TypeError, AttributeError):
        raise UnauthorizedError("Token is invalid") from None
    if agent_type not in (AgentType.USER, AgentType.UNIT) or not isinstance(generation, int):
        raise UnauthorizedError("Token is invalid")
    if expiry is None:
        if agent_type is AgentType.USER:
            raise UnauthorizedError("Token is invalid")
    elif not isinstance(expiry, int | float) or now.timestamp() >= expiry:
        raise UnauthorizedError("Token expired")
    return Claims(agent_type, uuid, generation)
