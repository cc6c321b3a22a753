"""The document says what the declarations say."""

import pytest

from pepeunit_gateway.api.models import ReadModel
from pepeunit_gateway.api.openapi import build_document
from pepeunit_gateway.api.routing import RouteTable, Token
from tests.support.openapi import problems, responses
from tests.unit.gateway.api.sample import things


@pytest.fixture
def document():
    return build_document(things.endpoints, version="1", prefix="/api")


def test_the_document_is_well_formed(document):
    assert problems(document) == []


def test_every_route_is_documented_under_its_main_path(document):
    assert set(document["paths"]) == {
        "/things", "/things/{uuid}", "/things/log_list/", "/things/upload", "/things/text/", "/things/stream/{kind}",
        "/things/slow/stream", "/things/client/address", "/things/archive",
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


def _answers(document, method, path):
    return responses(document, document["paths"][path][method])


def test_what_may_be_tried_again_says_when(document):
    answers = _answers(document, "post", "/things")
    assert {status for status, answer in answers.items() if "Retry-After" in answer.get("headers", ())} == {
        "429",
        "503",
    }


def test_archives_have_a_digest_a_tag_and_parts_and_texts_have_none(document):
    def headers(path, status="200"):
        return set(_answers(document, "get", path)[status].get("headers", ()))

    always = {"Repr-Digest", "ETag", "Accept-Ranges", "Cache-Control"}
    assert headers("/things/archive") == headers("/things/archive", "304") == always
    assert headers("/things/archive", "206") == {*always, "Content-Range"}
    assert headers("/things/archive", "416") == {"Content-Range"}
    assert headers("/things/text/") == set()
    assert not {"206", "304", "416"} & set(_answers(document, "get", "/things/text/"))
    asked = document["paths"]["/things/archive"]["get"]["parameters"]
    assert {(p["name"], p["in"], p["required"]) for p in asked} == {
        ("Range", "header", False), ("If-Range", "header", False), ("If-None-Match", "header", False),
    }  # fmt: skip


def test_an_entity_that_is_missing_is_called_by_its_name(document):
    detail = _answers(document, "get", "/things/{uuid}")["404"]["content"]["application/json"]["example"]["detail"]
    assert detail.startswith("404: 2: Not Found: there is no thing ")


def test_input_that_does_not_fit_is_shown_in_each_form_that_it_has(document):
    def details(method, path):
        content = _answers(document, method, path)["422"]["content"]["application/json"]
        found = [example["value"]["detail"] for example in content.get("examples", {}).values()]
        return [d if isinstance(d, str) else d[0]["loc"] for d in found or [content["example"]["detail"]]]

    assert details("get", "/things") == ["limit must be <= 500", ["query", "offset"]]
    assert details("get", "/things/{uuid}") == [["path", "uuid"]]
    assert details("post", "/things") == [["body", "name"]]
    assert details("post", "/things/upload") == [
        "422: 2: Validation Error: send multipart/form-data with the field data"
    ]


def test_input_may_break_a_rule_or_have_the_wrong_form_whatever_the_examples_are(document):
    def schemas(method, path):
        schema = _answers(document, method, path)["422"]["content"]["application/json"]["schema"]
        return [part["$ref"].rpartition("/")[2] for part in schema["anyOf"]]

    assert schemas("get", "/things/{uuid}") == schemas("post", "/things/upload") == ["Error", "InvalidInput"]


def test_a_body_that_may_be_larger_than_others_says_how_large(document):
    def detail(path):
        return _answers(document, "post", path)["413"]["content"]["application/json"]["example"]["detail"]

    assert detail("/things").endswith("at most 262144 bytes")
    assert detail("/things/upload").endswith("at most 1000 bytes")


def test_what_holds_for_the_whole_api_is_said_once(document):
    about = document["info"]["description"]
    for word in ("`/api`", "x-auth-token", "X-Request-ID", "Retry-After", "offset", "UTC", "<status>: <code>"):
        assert word in about
    assert "X-Request-ID" not in str(document["paths"]) + str(document["components"])


def test_the_token_says_where_it_comes_from(document):
    about = document["components"]["securitySchemes"]["token"]["description"]
    assert "POST /api/users/auth" in about
    assert "PU_AUTH_TOKEN" in about


def test_every_tag_has_a_line(document):
    assert document["tags"] == [{"name": "Things", "description": "What tests are made of."}]


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


def test_an_upload_is_a_multipart_form_with_a_sample(document):
    body = document["paths"]["/things/upload"]["post"]["requestBody"]
    form = body["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["data"]
    assert form["properties"]["data"] == {"type": "string", "contentMediaType": "text/csv", "examples": ["a,b"]}
    assert body["description"] == "Anything.\n```\na,b\n```\n"


def test_a_body_has_its_examples(document):
    content = document["paths"]["/things"]["post"]["requestBody"]["content"]["application/json"]
    assert content["examples"] == {"1": {"summary": "A lamp", "value": {"name": "lamp", "password": "12345678"}}}


def test_a_route_that_refuses_tokens_asks_for_none_but_tells_what_one_leads_to():
    table = RouteTable("/x", tag="X")

    @table.post("/login", token=Token.REFUSED)
    async def login() -> None:
        """Log in."""

    operation = build_document(table.endpoints, version="1", prefix="")["paths"]["/x/login"]["post"]
    assert "security" not in operation
    assert {"401", "403"} <= set(operation["responses"])


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
        build_document(table.endpoints, version="1", prefix="")
