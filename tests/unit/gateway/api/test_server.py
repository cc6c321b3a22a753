"""The routes of the product, as declared."""

import pytest

from pepeunit_gateway.api.openapi import build_document
from pepeunit_gateway.api.server import TABLES
from tests.support.openapi import problems


@pytest.fixture(scope="module")
def document():
    endpoints = [endpoint for table in TABLES for endpoint in table.endpoints]
    return build_document(endpoints, title="T", version="1", description="D", prefix="/pepeunit/api/v1")


def test_the_document_of_all_routes_is_well_formed(document):
    assert problems(document) == []


def test_every_route_of_the_contract_is_there(document):
    routes = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert routes >= {
        ("POST", "/users"), ("POST", "/users/auth"), ("GET", "/users/{uuid}"), ("PATCH", "/users/{uuid}"),
        ("PATCH", "/users/block/{uuid}"), ("PATCH", "/users/unblock/{uuid}"), ("GET", "/users"),
        ("POST", "/repository_registry"), ("GET", "/repository_registry/{uuid}"), ("GET", "/repository_registry"),
        ("GET", "/repository_registry/branch_commits/{uuid}"), ("DELETE", "/repository_registry/{uuid}"),
        ("PATCH", "/repository_registry/set_credentials/{uuid}"),
        ("GET", "/repository_registry/get_credentials/{uuid}"),
        ("PATCH", "/repository_registry/update_local_repository/{uuid}"),
        ("POST", "/repos"), ("GET", "/repos/{uuid}"), ("GET", "/repos"), ("GET", "/repos/versions/{uuid}"),
        ("PATCH", "/repos/{uuid}"), ("PATCH", "/repos/update_units_firmware/{uuid}"), ("DELETE", "/repos/{uuid}"),
        ("POST", "/units"), ("GET", "/units/{uuid}"), ("GET", "/units"), ("PATCH", "/units/{uuid}"),
        ("DELETE", "/units/{uuid}"), ("GET", "/units/env/{uuid}"), ("PATCH", "/units/env/{uuid}"),
        ("DELETE", "/units/env/{uuid}"), ("GET", "/units/get_target_version/{uuid}"),
        ("GET", "/units/get_current_schema/{uuid}"), ("GET", "/units/firmware/zip/{uuid}"),
        ("GET", "/units/firmware/tar/{uuid}"), ("GET", "/units/firmware/tgz/{uuid}"),
        ("POST", "/units/set_state_storage/{uuid}"), ("GET", "/units/get_state_storage/{uuid}"),
        ("POST", "/units/send_command_to_input_base_topic/{uuid}"), ("GET", "/units/log_list/"),
        ("GET", "/unit_nodes/{uuid}"), ("GET", "/unit_nodes"), ("PATCH", "/unit_nodes/{uuid}"),
        ("PATCH", "/unit_nodes/set_state_input/{uuid}"), ("POST", "/unit_nodes/create_unit_node_edge"),
        ("POST", "/unit_nodes/check_data_pipe_config"), ("POST", "/unit_nodes/set_data_pipe_config"),
        ("GET", "/unit_nodes/get_data_pipe_config/{uuid}"), ("GET", "/unit_nodes/get_data_pipe_data/"),
        ("DELETE", "/unit_nodes/delete_data_pipe_data/{uuid}"),
        ("GET", "/unit_nodes/edges"), ("DELETE", "/unit_nodes/edges/{uuid}"),
    }  # fmt: skip


def test_passwords_and_tokens_are_marked_as_such(document):
    schemas = document["components"]["schemas"]
    for model, field in (("NewUser", "password"), ("Login", "password"), ("CredentialsBody", "pat_token")):
        assert schemas[model]["properties"][field]["format"] == "password"
