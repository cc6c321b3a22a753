"""What units tell about themselves: state and log messages, read without trust.

Source: protocol/broker.md 6.4 and 6.5, protocol/entities.md 1.4; W25 (no state is dropped for coming early), W26 (one
bad log item harms no other).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeGuard
from uuid import UUID

import msgspec
from pydantic import TypeAdapter, ValidationError

from pepeunit_gateway.errors import PepeunitError
from pepeunit_gateway.storage.telemetry import LogRow, StateRow

__all__ = ["BadMessageError", "Logs", "parse_logs", "parse_state"]

_LISTS = ("ifconfig", "statvfs")
_FLOATS = ("millis", "mem_free", "mem_alloc", "freq")
_MAX_DEPTH = 8
_LEVELS = frozenset({"Debug", "Info", "Warning", "Error", "Critical"})
_SEQUENCE_MAX = 0xFFF
_moment: TypeAdapter[datetime] = TypeAdapter(datetime)


class BadMessageError(PepeunitError):
    """The message means nothing; `message` says why."""


@dataclass(frozen=True, slots=True)
class Logs:
    """The good items of a log message and how many bad ones were left out."""

    rows: list[LogRow]
    bad: int


def parse_state(unit: UUID, payload: bytes, now: datetime) -> StateRow:
    """Read a state message.

    Unknown keys are dropped, integers and booleans become floats, a value of a wrong type becomes null (`[]` for the
    two lists). The commit is None unless it is a string that a database can hold.

    Raises:
        BadMessageError: the payload is not a JSON object.
    """
    message = _decode(payload)
    if not isinstance(message, dict):
        raise BadMessageError("the state is not a JSON object")
    state: dict[str, Any] = {name: _list(message.get(name)) for name in _LISTS}
    state.update((name, _float(message.get(name))) for name in _FLOATS)
    commit = message.get("pu_commit_version")
    state["pu_commit_version"] = commit if _is_text(commit) else None
    return StateRow(unit, msgspec.json.encode(state).decode(), state["pu_commit_version"], now)


def parse_logs(
    unit: UUID, payload: bytes, now: datetime, *, keep_for: timedelta, random_bits: Callable[[int], int]
) -> Logs:
    """Read a log message: one object or an array of `{level, text, create_datetime?}`.

    Without a time of its own the n-th item, counted from 0, gets `now` + n seconds.

    Raises:
        BadMessageError: the payload is neither a JSON object nor an array.
    """
    message = _decode(payload)
    items = [message] if isinstance(message, dict) else message
    if not isinstance(items, list):
        raise BadMessageError("the log is neither a JSON object nor an array")
    rows = []
    for index, item in enumerate(items):
        row = _log_row(item, now + timedelta(seconds=index))
        if row is not None:
            level, text, created = row
            uuid = _ordered_uuid(now, index, random_bits)
            rows.append(LogRow(uuid, level, unit, text, created, now + keep_for))
    return Logs(rows, len(items) - len(rows))


def _decode(payload: bytes) -> Any:
    """Read JSON; a text in it that is none, or a number too large, is no reason to lose the rest.

    Such a text holds surrogates afterwards, and such a number is infinite.
    """
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # the other reader is slower and takes more
    try:
        return json.loads(payload.decode(errors="surrogateescape"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadMessageError(f"the payload is not JSON: {error}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _is_text(value: Any) -> TypeGuard[str]:
    """Tell whether a database can hold it."""
    return isinstance(value, str) and "\0" not in value and _is_encodable(value)


def _is_encodable(value: Any) -> bool:
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return False
    return True


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) and _is_shallow(value, _MAX_DEPTH) and _is_encodable(value) else []


def _is_shallow(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return depth > 0 and all(_is_shallow(item, depth - 1) for item in value)


def _float(value: Any) -> float | None:
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _log_row(item: Any, default: datetime) -> tuple[str, str, datetime] | None:
    if not isinstance(item, dict):
        return None
    level, text, created = item.get("level"), item.get("text"), item.get("create_datetime")
    if not isinstance(level, str) or level.capitalize() not in _LEVELS:
        return None
    if not _is_text(text):
        return None
    try:
        moment = default if created is None else _utc(_moment.validate_python(created))
    except (ValidationError, OverflowError):
        return None
    return level.capitalize(), text, moment


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _ordered_uuid(now: datetime, index: int, random_bits: Callable[[int], int]) -> UUID:
    """A version 7 uuid: lines of one moment are read back in the order in which they arrived."""
    milliseconds = int(now.timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    high = milliseconds << 16 | 0x7 << 12 | min(index, _SEQUENCE_MAX)
    return UUID(int=high << 64 | 0b10 << 62 | random_bits(62))
