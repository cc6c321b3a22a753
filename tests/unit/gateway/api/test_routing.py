"""What a declaration says, and what it may not say."""

from uuid import UUID

import pytest

from pepeunit_gateway.api.models import BodyModel, QueryModel
from pepeunit_gateway.api.routing import Download, Media, RouteTable, Token, Upload


class SomeQuery(QueryModel):
    word: str


class SomeBody(BodyModel):
    word: str


@pytest.fixture
def table():
    return RouteTable("/x", tag="X")


def test_parameters_are_told_apart_by_their_annotations(table):
    @table.post("/{uuid}/{name}", token=Token.NONE)
    async def handler(needed: bytes, uuid: UUID, name: str, query: SomeQuery, body: SomeBody) -> list[str]:
        raise AssertionError(needed, uuid, name, query, body)

    endpoint = table.endpoints[0]
    assert dict(endpoint.path_params) == {"uuid": UUID, "name": str}
    assert dict(endpoint.needs) == {"needed": bytes}
    assert endpoint.query == ("query", SomeQuery)
    assert endpoint.body == ("body", SomeBody)
    assert endpoint.answer == list[str]
    assert (endpoint.route.path, endpoint.route.status, endpoint.name) == ("/x/{uuid}/{name}", 200, "handler")


def test_a_handler_that_returns_nothing_answers_204(table):
    @table.delete("", token=Token.NONE)
    async def handler() -> None:
        return None

    assert table.endpoints[0].route.status == 204


async def _no_annotation(uuid):
    return uuid


async def _no_return(uuid: UUID):
    return uuid


async def _placeholder_unused() -> None:
    return None


async def _placeholder_is_no_uuid(uuid: int) -> None:
    assert uuid


async def _two_queries(uuid: UUID, first: SomeQuery, second: SomeQuery) -> None:
    raise AssertionError(uuid, first, second)


async def _body_and_upload(uuid: UUID, body: SomeBody, data: Upload) -> None:
    raise AssertionError(uuid, body, data)


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (_no_annotation, "annotate every parameter"),
        (_no_return, "annotate every parameter"),
        (_placeholder_unused, "every placeholder needs a parameter"),
        (_placeholder_is_no_uuid, "every placeholder needs a parameter"),
        (_two_queries, "at most one query model"),
        (_body_and_upload, "at most one query model and one body, upload or inflow"),
    ],
)
def test_a_declaration_that_cannot_be_served_is_refused(table, handler, message):
    with pytest.raises(TypeError, match=f"GET /x/{{uuid}}: {message}"):
        table.get("/{uuid}", token=Token.NONE)(handler)


def test_contents_show_in_no_repr():
    assert "secret" not in repr(Upload(b"secret")) + repr(Download(b"secret", Media.TEXT))
