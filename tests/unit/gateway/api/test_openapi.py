"""The document says what the declarations say."""

import pytest

from pepeunit_gateway.api.models import ReadModel
from pepeunit_gateway.api.openapi import build_document
from pepeunit_gateway.api.routing import RouteTable, Token
from tests.support.openapi import problems
from tests.unit.gateway.api.sample import things


@pytest.fixture
def document():
    return build_document(things.endpoints, title="T", version="1", description="D", prefix="/api")


def test_the_document_is_well_formed(document):
    assert problems(document) == []


def test_every_route_is_documented_under_its_main_path(document):
    assert set(document["paths"]) == {
        "/things", "/things/{uuid}", "/things/log_list/", "/things/upload", "/things/text/", "/things/stream/{kind}",
        "/things/slow/stream",
    }  # fmt: skip
    assert set(document["paths"]["/things/{uuid}"]) == {"get", "patch", "delete"}


def test_statuses_follow_from_the_signature(document):
    def statuses(method, path):
        return set(document["paths"][path][method]["responses"])

    assert statuses("get", "/things") == {"200", "401", "403", "422", "500", "503"}
    assert statuses("get", "/things/{uuid}") == {"200", "401", "403", "404", "422", "500", "503"}
    assert statuses("post", "/things") == {"201", "400", "401", "403", "408", "409", "413", "422", "429", "500", "503"}
    assert statuses("delete", "/things/{uuid}") == {"204", "404", "422", "500", "503"}
    assert statuses("get", "/things/log_list/") == {"200", "500", "503"}


def test_what_may_be_tried_again_says_when(document):
    responses = document["paths"]["/things"]["post"]["responses"]
    assert {status for status, answer in responses.items() if "Retry-After" in answer["headers"]} == {"429", "503"}


def test_security_follows_from_the_token(document):
    assert document["paths"]["/things"]["post"]["security"] == [{"token": []}]
    assert document["paths"]["/things"]["get"]["security"] == [{}, {"token": []}]
    assert "security" not in document["paths"]["/things/text/"]["get"]


def test_query_parameters_carry_their_bounds(document):
    parameters = {p["name"]: p for p in document["paths"]["/things"]["get"]["parameters"]}
    assert set(parameters) == {"uuids", "search_string", "since", "offset", "limit"}
    assert parameters["limit"]["schema"]["maximum"] == 500
    assert parameters["uuids"]["schema"]["items"] == {"type": "string", "format": "uuid"}
    assert not any(p["required"] for p in parameters.values())


def test_docstrings_become_summary_and_description(document):
    operation = document["paths"]["/things"]["get"]
    assert (operation["summary"], operation["description"]) == (
        "List things.",
        "The second paragraph is the description.",
    )


def test_an_upload_is_a_multipart_form(document):
    content = document["paths"]["/things/upload"]["post"]["requestBody"]["content"]
    assert content["multipart/form-data"]["schema"]["required"] == ["data"]


def test_two_different_models_of_one_name_are_refused():
    table = RouteTable("/x", tag="X")

    def model(kind):
        return type("Twin", (ReadModel,), {"__annotations__": {"value": kind}, "__module__": __name__})

    async def first() -> model(int):
        """First."""

    async def second() -> model(str):
        """Second."""

    table.get("/a", token=Token.NONE)(first)
    table.get("/b", token=Token.NONE)(second)
    with pytest.raises(TypeError, match="two different models are named Twin"):
        build_document(table.endpoints, title="T", version="1", description="D", prefix="")
