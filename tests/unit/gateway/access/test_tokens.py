"""Tokens: the contract's bytes, and everything that must be refused."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_DNS, UUID, uuid5

import pytest

from pepeunit_gateway.access.agents import AgentType
from pepeunit_gateway.access.tokens import Claims, named_token, read_token, unit_token, user_token
from pepeunit_gateway.errors import UnauthorizedError

SECRET = "0123456789abcdef0123456789abcdef"
PREVIOUS = "fedcba9876543210fedcba9876543210"
DOMAIN = "devices.example.org"
UNIT = UUID("00000000-0000-4000-8000-000000000001")
USER = UUID("00000000-0000-4000-8000-000000000002")
TOKEN = UUID("00000000-0000-4000-8000-000000000003")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def sign(claims: object, *, header: object = None, secret: str = SECRET) -> str:
    """Make a token by hand, with the standard library only."""
    header = header or {"alg": "HS256", "typ": "JWT"}
    parts = [
        base64.urlsafe_b64encode(json.dumps(part, separators=(",", ":")).encode()).rstrip(b"=")
        for part in (header, claims)
    ]
    digest = hmac.digest(secret.encode(), b".".join(parts), hashlib.sha256)
    return b".".join([*parts, base64.urlsafe_b64encode(digest).rstrip(b"=")]).decode()


def test_a_new_units_token_is_byte_for_byte_the_contracts():
    assert unit_token(UNIT, secret=SECRET, generation=0) == sign({"uuid": str(UNIT), "type": "Unit"})


def test_a_reissued_token_carries_its_generation():
    assert unit_token(UNIT, secret=SECRET, generation=2) == sign({"uuid": str(UNIT), "type": "Unit", "gen": 2})


def test_a_users_token_ends_when_its_lifetime_is_over():
    token = user_token(UNIT, secret=SECRET, generation=0, now=NOW, lifetime=timedelta(seconds=60))
    assert read_token(token, secrets=[SECRET], now=NOW + timedelta(seconds=59)) == Claims(AgentType.USER, UNIT, 0)
    with pytest.raises(UnauthorizedError, match="Token expired"):
        read_token(token, secrets=[SECRET], now=NOW + timedelta(seconds=60))


def test_a_named_token_carries_its_uuid_and_may_last_for_ever():
    token = named_token(USER, TOKEN, secret=SECRET, expiry=None)
    assert token == sign({"uuid": str(USER), "type": "User", "jti": str(TOKEN)})
    assert read_token(token, secrets=[SECRET], now=NOW) == Claims(AgentType.USER, USER, 0, TOKEN)


def test_a_named_token_that_was_given_an_expiry_ends_then():
    token = named_token(USER, TOKEN, secret=SECRET, expiry=NOW + timedelta(seconds=60))
    assert read_token(token, secrets=[SECRET], now=NOW + timedelta(seconds=59)).named_token == TOKEN
    with pytest.raises(UnauthorizedError, match="Token expired"):
        read_token(token, secrets=[SECRET], now=NOW + timedelta(seconds=60))


def test_the_previous_key_is_accepted_beside_the_current_one_and_no_third():
    """W4: a key can be replaced without taking every token away at once."""
    tokens = [unit_token(UNIT, secret=secret, generation=0) for secret in (SECRET, PREVIOUS)]
    for token in tokens:
        assert read_token(token, secrets=[SECRET, PREVIOUS], now=NOW) == Claims(AgentType.UNIT, UNIT, 0)
    with pytest.raises(UnauthorizedError):
        read_token(tokens[1], secrets=[SECRET], now=NOW)


BACKEND = {"domain": DOMAIN, "type": "Backend"}


def test_a_backend_token_counts_only_where_it_is_let_in_and_for_its_own_domain():
    token = sign(BACKEND)
    expected = Claims(AgentType.BACKEND, uuid5(NAMESPACE_DNS, DOMAIN), 0)
    assert read_token(token, secrets=[SECRET], now=NOW, backend_domain=DOMAIN) == expected
    for domain in (None, "other.example.org"):
        with pytest.raises(UnauthorizedError, match="Token is invalid"):
            read_token(token, secrets=[SECRET], now=NOW, backend_domain=domain)


GOOD = {"uuid": str(UNIT), "type": "Unit"}


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "a" * 5000,
        sign(GOOD, secret="another secret of thirty-two chars"),
        sign(GOOD, header={"alg": "none", "typ": "JWT"}),
        sign(GOOD)[:-2],
        sign({**GOOD, "type": "User"}),  # a User without expiry
        sign({**GOOD, "type": "Gateway"}),
        sign({**GOOD, "type": "Root"}),
        sign({"type": "Unit"}),
        sign({**GOOD, "uuid": "me"}),
        sign({**GOOD, "uuid": 7}),
        sign({**GOOD, "gen": "1"}),
        sign({**GOOD, "jti": str(TOKEN)}),  # a Unit has no named tokens
        sign({**GOOD, "type": "User", "jti": "x"}),
        sign({**GOOD, "type": "User", "jti": 7}),
        sign({**GOOD, "type": ["Unit"]}),
        sign({"type": "Backend"}),
        sign({**BACKEND, "domain": None}),
        sign({**BACKEND, "domain": [DOMAIN]}),
        sign({**GOOD, "exp": "soon"}),
        sign([1, 2]),
    ],
)
def test_anything_else_is_refused(token):
    with pytest.raises(UnauthorizedError):
        read_token(token, secrets=[SECRET], now=NOW, backend_domain=DOMAIN)
