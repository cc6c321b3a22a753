"""Values of a unit's env.json as a person types and reads them. Source: decisions.md 15. Pure functions."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pepeunit_tools.errors import UnknownNameError
from pepeunit_tools.wording import plain

__all__ = ["changes", "shown"]

_SECRET = frozenset({"PU_AUTH_TOKEN", "PU_SECRET_KEY", "PU_ENCRYPT_KEY"})
_NEVER_TYPED = frozenset({"PU_AUTH_TOKEN", "PU_COMMIT_VERSION"})

JsonValue = Any


def changes(words: Sequence[str], known: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what `KEY=VALUE` words say: a value is JSON if it reads as such, else text.

    Args:
        words: as typed.
        known: the unit's env.json; another key has no effect, so it is refused.

    Raises:
        ValueError: a word is not of that form.
        UnknownNameError: the unit has no such setting, or the platform alone sets it.
    """
    typed: dict[str, JsonValue] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise ValueError(f"{word} is not of the form KEY=VALUE")
        if key in _NEVER_TYPED:
            raise UnknownNameError(f"{key} is the platform's; it cannot be typed")
        if key not in known:
            there = ", ".join(name for name in known if name not in _NEVER_TYPED)
            raise UnknownNameError(f"the unit has no setting {plain(key)}; it has: {plain(there)}")
        typed[key] = _value(value)
    return typed


def shown(env: Mapping[str, JsonValue]) -> list[tuple[str, str]]:
    """Return names and values, the program's own settings first; secrets are not shown."""
    names = sorted(env, key=lambda name: (name.startswith("PU_"), name))
    return [(name, "(secret)" if name in _SECRET else json.dumps(env[name], ensure_ascii=False)) for name in names]


def _value(text: str) -> JsonValue:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are no JSON
