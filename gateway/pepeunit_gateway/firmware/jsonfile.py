"""JSON files as they stand in repositories and archives: strict reading, one way of writing.

Source: protocol/firmware.md 7.6 to 7.8 (an object at the root, written with an indent of 4).
"""

import json
import math
from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Any, NoReturn, TypeAlias

from pepeunit_gateway.errors import CustomJSONDecodeError, GitRepoError

__all__ = ["JSON", "check_portable", "dump_object", "load_object"]

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"

_Path: TypeAlias = tuple[str | int, ...]

_MAX_DEPTH = 32
_MAX_VALUES = 20_000
_MAX_DIGITS = 1_000  # Python itself gives up at 4,300
_SHOWN_STEPS = 4
_SHOWN_KEY = 60


def load_object(data: bytes | None, name: str) -> dict[str, JSON]:
    """Read the JSON object of the file called `name`.

    Args:
        data: the bytes of the file in UTF-8 (a byte order mark is tolerated), or None when the commit has no such file.
        name: how messages call the file, e.g. `env_example.json`.

    Raises:
        GitRepoError: the file is missing, not UTF-8, or not an object.
        CustomJSONDecodeError: the text is not JSON, the message gives line and column; or not every device could read
            it, the message names the key (see `check_portable`).
    """
    if data is None:
        raise GitRepoError(f"{name} is missing at the root of this commit; add the file, commit and push")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GitRepoError(f"{name} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    try:
        value = json.loads(text, parse_int=_read_int, parse_constant=_refuse_constant, object_pairs_hook=_unique_pairs)
        check_portable(value)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise CustomJSONDecodeError(f"{name}, {place}: {error.msg}; correct the file, commit and push") from error
    except (ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        reason = f"it is nested too deeply; {_MAX_DEPTH} levels are possible" if deep else str(error)
        raise CustomJSONDecodeError(f"{name}: {reason}; correct the file, commit and push") from error
    if not isinstance(value, dict):
        raise GitRepoError(f"{name} must be a JSON object, that is {{...}}, at its top; it is {_kind(value)}")
    return value


def check_portable(value: JSON) -> None:
    """Refuse what Python reads but cannot write again, or what no device could read.

    That is half of a surrogate pair in a text or a key, a number that is no double (infinite, NaN, or an integer beyond
    1.8e308), lists and objects more than 32 deep, and more than 20,000 values.

    Raises:
        ValueError: says what is wrong and at which key, in ASCII.
    """
    pending: list[tuple[JSON, _Path]] = [(value, ())]
    count = 1
    while pending:
        part, path = pending.pop()
        children = _checked(part, path)
        count += len(children)
        if count > _MAX_VALUES:
            raise ValueError(f"it holds too many values; {_MAX_VALUES} are possible")
        pending.extend((item, (*path, key)) for key, item in reversed(children))


def _checked(value: JSON, path: _Path) -> list[tuple[str | int, JSON]]:
    """Check one value and return what it holds, by key."""
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, int | float) and not _is_double(value):
        raise ValueError(f"the number at {_place(path)} is too large or no number")
    elif isinstance(value, list | dict):
        if len(path) == _MAX_DEPTH:
            raise ValueError(f"it is nested too deeply at {_place(path)}; {_MAX_DEPTH} levels are possible")
        if isinstance(value, list):
            return list(enumerate(value))
        for key in value:
            _check_text(key, (*path, key))
        return list(value.items())
    return []


def _check_text(text: str, path: _Path) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = json.dumps(text[error.start])
        raise ValueError(f"{half} at {_place(path)} is half of a surrogate pair and no character") from None


def _is_double(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer may have any number of digits
        return False


def _place(path: _Path) -> str:
    """Write a path as `"a"[0]."b"`, only its end if it is long."""
    steps = [
        f"[{step}]" if isinstance(step, int) else f".{json.dumps(step[:_SHOWN_KEY])}" for step in path[-_SHOWN_STEPS:]
    ]
    text = "".join(steps).removeprefix(".") or "the top"
    return f"...{text}" if len(path) > _SHOWN_STEPS else text


def dump_object(value: Mapping[str, Any]) -> bytes:
    """Write an object the way archives carry it: UTF-8, indent 4, the order of keys kept, a newline at the end."""
    return _indented(dict(value), "\n").encode() + b"\n"


def _indented(value: object, margin: str) -> str:
    """Write what `json.dumps(value, indent=4)` does, in a tenth of its time: that one's fast half knows no indent."""
    if isinstance(value, str):
        return encode_basestring(value)
    inner = margin + "    "
    if isinstance(value, dict) and value:
        members = [f"{encode_basestring(key)}: {_indented(item, inner)}" for key, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(members)}{margin}}}"
    if isinstance(value, list) and value:
        return f"[{inner}{f',{inner}'.join([_indented(item, inner) for item in value])}{margin}]"
    return json.dumps(value, allow_nan=False)


def _read_int(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits is too large")
    return int(digits)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _unique_pairs(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:_SHOWN_KEY]!r} stands there twice")
    return value


def _kind(value: JSON) -> str:
    if value is None:
        return "null"
    return {list: "a list", str: "a string", bool: "true or false"}.get(type(value), "a number")
