"""JSON files as they stand in repositories and archives: strict reading, one way of writing.

Source: protocol/firmware.md 7.6 to 7.8 (an object at the root, written with an indent of 4).
"""

import json
from collections.abc import Mapping
from typing import NoReturn, TypeAlias

from pepeunit_gateway.errors import CustomJSONDecodeError, GitRepoError

__all__ = ["JSON", "dump_object", "load_object"]

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"


def load_object(data: bytes | None, name: str) -> dict[str, JSON]:
    """Read the JSON object of the file called `name`.

    Args:
        data: the bytes of the file in UTF-8 (a byte order mark is tolerated), or None when the commit has no such file.
        name: how messages call the file, e.g. `env_example.json`.

    Raises:
        GitRepoError: the file is missing, not UTF-8, or not an object.
        CustomJSONDecodeError: the text is not JSON; the message gives line and column.
    """
    if data is None:
        raise GitRepoError(f"{name} is missing at the root of this commit; add the file, commit and push")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GitRepoError(f"{name} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_pairs)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise CustomJSONDecodeError(f"{name}, {place}: {error.msg}; correct the file, commit and push") from error
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CustomJSONDecodeError(f"{name}: {reason}; correct the file, commit and push") from error
    if not isinstance(value, dict):
        raise GitRepoError(f"{name} must be a JSON object, that is {{...}}, at its top; it is {_kind(value)}")
    return value


def dump_object(value: Mapping[str, JSON]) -> bytes:
    """Write an object the way archives carry it: UTF-8, indent 4, the order of keys kept, a newline at the end."""
    return json.dumps(value, indent=4, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _unique_pairs(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} stands there twice")
    return value


def _kind(value: JSON) -> str:
    if value is None:
        return "null"
    return {list: "a list", str: "a string", bool: "true or false"}.get(type(value), "a number")
