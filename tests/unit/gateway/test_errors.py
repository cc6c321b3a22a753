"""The wire form and the numbers of every error class."""

import pytest

from pepeunit_gateway import errors

# (class, status, code, prefix) written down from the protocol's table, not from the module
TABLE = [
    ("NoAccessError", 403, 1, "No Access"),
    ("UnauthorizedError", 401, 1, "No Access"),
    ("ValidationError", 422, 2, "Validation Error"),
    ("NotFoundError", 404, 2, "Not Found"),
    ("UserError", 422, 3, "User Validation Error"),
    ("CustomPermissionError", 422, 4, "Permission Validation Error"),
    ("GitRepoError", 422, 5, "Git Repo Validation Error"),
    ("RepoError", 422, 6, "Repo Validation Error"),
    ("UnitError", 422, 7, "Unit Validation Error"),
    ("UnitNodeError", 422, 8, "UnitNode Validation Error"),
    ("DataPipeError", 422, 8, "DataPipe Validation Error"),
    ("CustomJSONDecodeError", 422, 9, "JSON Decode Error"),
    ("MqttError", 422, 10, "MQTT Error"),
    ("UpdateError", 422, 11, "Update Error"),
    ("CipherError", 422, 12, "Cipher Error"),
    ("RepositoryRegistryError", 422, 13, "Repository Registry Validation Error"),
    ("MirrorBehindError", 503, 13, "Repository Registry Validation Error"),
    ("GitPlatformClientError", 422, 14, "Git Platform Client Error"),
    ("FeatureFlagError", 405, 15, "Feature Flag Error"),
    ("ReadmeGenerationError", 422, 16, "Readme Generation Error"),
]


@pytest.mark.parametrize(("name", "status", "code", "prefix"), TABLE)
def test_the_detail_of_every_class_is_what_the_protocol_says(name, status, code, prefix):
    error = getattr(errors, name)("what happened")
    assert error.status == status
    assert error.detail == f"{status}: {code}: {prefix}: what happened"


def test_a_broken_uniqueness_rule_is_a_conflict_with_the_entitys_code():
    error = errors.UnitError("the name is taken", conflict=True)
    assert error.detail == "409: 7: Unit Validation Error: the name is taken"


def test_too_many_requests_say_when_to_come_back():
    error = errors.TooManyRequestsError("slow down", retry_after=7)
    assert (error.detail, error.retry_after) == ("429: 17: Too Many Requests: slow down", 7)


def test_no_class_of_the_table_is_missing_in_it():
    listed = {name for name, *_ in TABLE} | {"ApiError", "TooManyRequestsError"}
    subclasses = {
        value.__name__
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.ApiError)
    }
    assert subclasses == listed
