"""The routes of the product, as declared."""

import json

import pytest

from pepeunit_gateway.api.data_pipes import routes as data_pipes
from pepeunit_gateway.api.openapi import build_document
from pepeunit_gateway.api.server import TABLES
from pepeunit_gateway.datapipe.documents import check_config, parse_config
from pepeunit_gateway.datapipe.policies import check_available
from tests.support.openapi import problems, responses

ENDPOINTS = [endpoint for table in TABLES for endpoint in table.endpoints]
BODIES = [endpoint.body[1] for endpoint in ENDPOINTS if endpoint.body is not None]


@pytest.fixture(scope="module")
def document():
    return build_document(ENDPOINTS, version="1", prefix="/pepeunit/api/v1")


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
        ("POST", "/units"), ("POST", "/units/batch"),
        ("GET", "/units/{uuid}"), ("GET", "/units"), ("PATCH", "/units/{uuid}"),
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
        ("PATCH", "/repository_registry/backend_sync_registry"), ("GET", "/repos/available_platforms/{uuid}"),
        ("POST", "/repos/bulk_update"), ("POST", "/units/auth"), ("POST", "/units/convert_toml_to_md"),
        ("GET", "/metrics/"), ("GET", "/unit_nodes/edges"), ("DELETE", "/unit_nodes/edges/{uuid}"),
    }  # fmt: skip


def test_passwords_and_tokens_are_marked_as_such(document):
    schemas = document["components"]["schemas"]
    for model, field in (("NewUser", "password"), ("Login", "password"), ("CredentialsBody", "pat_token")):
        assert schemas[model]["properties"][field]["format"] == "password"


def _details(answer):
    content = answer["content"]["application/json"]
    values = [example["value"] for example in content["examples"].values()] if "examples" in content else []
    return [value["detail"] for value in values or [content["example"]]]


def test_every_failure_has_an_example_of_its_own_status(document):
    for item in document["paths"].values():
        for operation in item.values():
            failures = {s: a for s, a in responses(document, operation).items() if s >= "400"}
            for status, answer in failures.items():
                for detail in _details(answer):
                    plain = status == "422" and (isinstance(detail, list) or detail == "limit must be <= 500")
                    assert plain or detail.startswith(f"{status}: "), (operation["operationId"], detail)


@pytest.mark.parametrize("model", BODIES, ids=lambda model: model.__name__)
def test_every_body_has_examples_that_fit(model):
    assert model.examples
    for example in model.examples.values():
        body = model.model_validate_json(json.dumps(example))
        assert body.model_fields_set == set(example)


def test_the_sample_of_a_pipe_can_be_sent_as_it_is():
    samples = [endpoint.route.sample for endpoint in data_pipes.endpoints if endpoint.upload is not None]
    assert len(samples) == 2
    for sample in samples:
        assert check_config(sample.text.encode()) == []
        check_available(parse_config(sample.text.encode()).processing_policy.policy_type)


def test_every_heading_has_a_line(document):
    assert all(tag["description"] for tag in document["tags"])
    assert len(document["tags"]) == len(TABLES)


def test_logging_in_asks_for_no_token(document):
    assert "security" not in document["paths"]["/users/auth"]["post"]


def test_a_header_that_a_route_needs_is_documented(document):
    operation = document["paths"]["/units/batch"]["post"]
    assert [(p["name"], p["in"], p["required"]) for p in operation["parameters"]] == [
        ("Idempotency-Key", "header", True)
    ]
    examples = responses(document, operation)["422"]["content"]["application/json"]["examples"].values()
    assert any("send the header Idempotency-Key" in str(example["value"]) for example in examples)
