"""The limits of a search."""

import pytest
from sqlalchemy import column
from sqlalchemy.dialects.sqlite import dialect

from pepeunit_gateway.errors import ValidationError
from pepeunit_gateway.registry.listing import search


def test_every_word_is_a_condition_and_wildcards_mean_themselves():
    (first, second) = search("50%  _x", column("name"), column("url"))
    shown = [str(c.compile(dialect=dialect(), compile_kwargs={"literal_binds": True})) for c in (first, second)]
    assert shown == [
        (
            "(pepeunit_lower(name) LIKE '%' || '50/%' || '%' ESCAPE '/') OR "
            "(pepeunit_lower(url) LIKE '%' || '50/%' || '%' ESCAPE '/')"
        ),
        (
            "(pepeunit_lower(name) LIKE '%' || '/_x' || '%' ESCAPE '/') OR "
            "(pepeunit_lower(url) LIKE '%' || '/_x' || '%' ESCAPE '/')"
        ),
    ]


@pytest.mark.parametrize("text", [None, "", "   "])
def test_no_words_are_no_condition(text):
    assert search(text, column("name")) == []


@pytest.mark.parametrize("text", ["x" * 101, "a " * 11])
def test_a_search_that_is_too_long_is_refused(text):
    with pytest.raises(ValidationError, match="100 characters and 10 words"):
        search(text, column("name"))
