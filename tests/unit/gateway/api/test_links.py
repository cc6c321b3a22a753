"""Where a uuid of an answer leads, as the document says it."""

import pytest

from pepeunit_gateway.api.openapi import build_document
from pepeunit_gateway.api.server import TABLES


@pytest.fixture(scope="module")
def document():
    return build_document(
        [endpoint for table in TABLES for endpoint in table.endpoints], version="1", prefix="/pepeunit/api/v1"
    )


def _links(document, method, path, status="200"):
    return document["paths"][path][method]["responses"][status].get("links", {})


def test_an_entity_leads_to_what_can_be_done_with_it(document):
    links = _links(document, "post", "/units", "201")
    assert {"get_unit", "update_unit", "delete_unit", "get_env", "get_firmware_zip"} <= set(links)
    assert links["get_unit"] == {"operationId": "get_unit", "parameters": {"uuid": "$response.body#/uuid"}}


def test_a_list_leads_there_by_its_first_item(document):
    links = _links(document, "get", "/repos")
    assert links["update_repo"]["parameters"] == {"uuid": "$response.body#/repos/0/uuid"}


def test_a_field_leads_to_the_entity_that_it_names(document):
    links = _links(document, "get", "/unit_nodes/{uuid}")
    assert links["get_unit_by_unit_uuid"]["parameters"] == {"uuid": "$response.body#/unit_uuid"}


def test_what_only_belongs_to_an_entity_is_not_taken_for_it(document):
    links = _links(document, "get", "/units/log_list/")
    assert set(links) == {"get_unit_by_unit_uuid"}


def test_every_link_leads_to_an_operation_with_such_a_parameter(document):
    operations = {op["operationId"]: op for item in document["paths"].values() for op in item.values()}
    links = [
        link
        for operation in operations.values()
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert len(links) > 100
    for link in links:
        names = {parameter["name"] for parameter in operations[link["operationId"]]["parameters"]}
        assert set(link["parameters"]) <= names
