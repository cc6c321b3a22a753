"""The base classes of requests."""

from typing import ClassVar

import pytest
from pydantic import SecretStr, ValidationError

from pepeunit_gateway.api.models import MAX_PAGE_KEY, ChangeModel, PageQuery
from pepeunit_gateway.registry.listing import Paging


class Change(ChangeModel):
    clearable: ClassVar[frozenset[str]] = frozenset({"branch"})

    name: str | None = None
    branch: str | None = None
    password: SecretStr | None = None


class Query(PageQuery):
    word: str = "-"


def test_absent_fields_are_not_sent_and_null_clears_only_what_may_be_cleared():
    """W37."""
    assert Change.model_validate_json("{}").sent() == {}
    assert Change.model_validate_json('{"name": null, "branch": null}').sent() == {"branch": None}
    assert Change.model_validate_json('{"name": "a", "more": 1}').sent() == {"name": "a"}


def test_secrets_show_neither_in_reprs_nor_in_errors():
    assert "hunter2" not in repr(Change.model_validate_json('{"password": "hunter2"}'))
    with pytest.raises(ValidationError) as caught:
        Change.model_validate_json('{"password": ["hunter2"]}')
    assert "hunter2" not in str(caught.value)


def test_a_query_is_a_page_and_filters():
    query = Query.model_validate({"offset": "5", "limit": "7", "word": "x"})
    assert query.paging == Paging(5, 7)
    assert query.filters() == {"word": "x"}


def test_the_largest_page_comes_from_the_settings():
    assert Query.model_validate({"limit": 9}, context={MAX_PAGE_KEY: 9}).limit == 9
    with pytest.raises(ValidationError, match="limit must be <= 9"):
        Query.model_validate({"limit": 10}, context={MAX_PAGE_KEY: 9})
