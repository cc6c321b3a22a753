"""What each route says of itself for named tokens, written by hand: a new route has to be thought about here."""

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.api.routing import Token
from pepeunit_gateway.api.server import TABLES

ENDPOINTS = [endpoint for table in TABLES for endpoint in table.endpoints]

SECRET = {
    "GET /units/env/{uuid}",
    "GET /units/firmware/zip/{uuid}",
    "GET /units/firmware/tar/{uuid}",
    "GET /units/firmware/tgz/{uuid}",
    "GET /units/get_state_storage/{uuid}",
    "GET /repository_registry/get_credentials/{uuid}",
    "POST /repository_registry/webhook/{uuid}",
}
LOGIN_ONLY = {
    "POST /users",
    "PATCH /users/{uuid}",
    "DELETE /users/{uuid}",
    "PATCH /users/block/{uuid}",
    "PATCH /users/unblock/{uuid}",
    "GET /users/generate_verification_link/",
    "POST /tokens",
    "GET /tokens",
    "DELETE /tokens/{uuid}",
}
READING_ALTHOUGH_NO_GET = {"POST /unit_nodes/check_data_pipe_config", "POST /units/convert_toml_to_md"}


def keys(chosen):
    return {f"{one.route.method} {one.route.path}" for one in ENDPOINTS if chosen(one.route)}


def test_these_routes_give_secrets_and_no_others():
    assert keys(lambda route: route.secret) == SECRET


def test_these_routes_are_for_a_login_alone():
    assert keys(lambda route: route.login_only) == LOGIN_ONLY


def test_every_get_only_reads_and_of_the_others_only_these():
    assert keys(lambda route: route.method == "GET" and not route.reading) == set()
    assert keys(lambda route: route.method != "GET" and route.reading) <= READING_ALTHOUGH_NO_GET


def test_every_route_that_looks_at_the_token_asks_who_it_is():
    """Else nobody would check the token's scope."""
    for endpoint in ENDPOINTS:
        if endpoint.route.token is not Token.NONE:
            assert Agent in endpoint.needs.values(), endpoint.name
