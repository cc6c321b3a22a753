"""Base classes of everything that crosses HTTP, and the query of every list.

A parameter of a handler is recognised by its base class: QueryModel is the query string, BodyModel the JSON body.
ReadModel is what goes out; it is built from the registry's frozen dataclasses with `model_validate`.
Times go out as ISO 8601 in UTC with `Z`; times that come in without an offset are UTC (decisions.md 14).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from pepeunit_gateway.registry.listing import Paging

__all__ = [
    "MAX_INTEGER",
    "MAX_PAGE_KEY",
    "PAGING_ERROR",
    "BodyModel",
    "ChangeModel",
    "PageQuery",
    "QueryModel",
    "ReadModel",
    "UtcTime",
]

MAX_PAGE_KEY = "max_pagination_size"
"""Where the validation context carries PU_MAX_PAGINATION_SIZE."""

PAGING_ERROR = "paging"
"""The type of an error whose message alone is the answer's detail (protocol/rest.md 2.1)."""

MAX_INTEGER = 2**31 - 1
"""The largest number that every database's Integer holds."""


def _utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is outside the years 1 to 9999") from None


def _without_nul(value: Any) -> Any:
    texts = value if isinstance(value, list) else (value,)
    if any(isinstance(text, str) and "\0" in text for text in texts):
        raise ValueError("the text holds the character NUL, which not every database can keep")
    return value


UtcTime = Annotated[datetime, AfterValidator(_utc)]
"""An aware UTC time; without an offset it is taken as UTC."""


class QueryModel(BaseModel):
    """A query string. Keys that are not declared are ignored: clients in the field send extras."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)

    @field_validator("*")
    @classmethod
    def _holds_no_nul(cls, value: Any) -> Any:
        return _without_nul(value)


class BodyModel(BaseModel):
    """A JSON body, read strictly: `"true"` is no boolean. `model_fields_set` tells absent from null (W37).

    `examples` are bodies for the document, by a line on each. `sealed` are the fields whose texts are encrypted before
    they are stored and may hold any character; in others there is no NUL.
    """

    examples: ClassVar[Mapping[str, Mapping[str, object]]] = MappingProxyType({})
    sealed: ClassVar[frozenset[str]] = frozenset()

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, hide_input_in_errors=True, defer_build=True)

    @field_validator("*")
    @classmethod
    def _holds_no_nul(cls, value: Any, info: ValidationInfo) -> Any:
        return value if info.field_name in cls.sealed else _without_nul(value)


class ChangeModel(BodyModel):
    """The body of a PATCH: only what was sent is changed (W37).

    Null clears the fields named in `clearable`. For the others null means "not sent", as the contract has it.
    """

    clearable: ClassVar[frozenset[str]] = frozenset()

    def sent(self) -> dict[str, Any]:
        """Return the fields to change, by name."""
        values = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: value for name, value in values.items() if value is not None or name in self.clearable}


class ReadModel(BaseModel):
    """An answer, built from the attributes of an entity."""

    model_config = ConfigDict(frozen=True, from_attributes=True, hide_input_in_errors=True, defer_build=True)


class PageQuery(QueryModel):
    """`offset` and `limit` of every list: 0 or absent means no offset and 100 rows.

    Errors: "offset must be >= 0", "limit must be >= 0", "limit must be <= 500" as plain details (protocol/rest.md 2.1).
    """

    offset: int = Field(0, json_schema_extra={"minimum": 0, "maximum": MAX_INTEGER})
    limit: int = Field(0, json_schema_extra={"minimum": 0, "maximum": 500}, description="0 or absent means 100")

    @field_validator("offset")
    @classmethod
    def _offset_in_range(cls, value: int) -> int:
        if value < 0:
            raise PydanticCustomError(PAGING_ERROR, "offset must be >= 0")
        if value > MAX_INTEGER:
            raise PydanticCustomError(PAGING_ERROR, f"offset must be <= {MAX_INTEGER}")
        return value

    @field_validator("limit")
    @classmethod
    def _limit_in_range(cls, value: int, info: ValidationInfo) -> int:
        largest: int = (info.context or {}).get(MAX_PAGE_KEY, 500)
        if value < 0:
            raise PydanticCustomError(PAGING_ERROR, "limit must be >= 0")
        if value > largest:
            raise PydanticCustomError(PAGING_ERROR, f"limit must be <= {largest}")
        return value

    @property
    def paging(self) -> Paging:
        """The page as the registry takes it."""
        return Paging(self.offset, self.limit)

    def filters(self) -> dict[str, Any]:
        """Everything but the page, by name, as the registry's filters take it."""
        return {name: value for name, value in self if name not in PageQuery.model_fields}
