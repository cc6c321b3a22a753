"""The stored text of a unit's state. Source: protocol/broker.md 6.4, protocol/entities.md 1.4.

A text that is no such state, because something else wrote it into the database, counts as no state: it must not break a
list.
"""

from typing import Any

import msgspec
from sqlalchemy import Row

from pepeunit_gateway.registry.entities import Unit, UnitNode, UnitState, from_row

__all__ = ["read_state", "state_json", "to_unit"]

_decoder = msgspec.json.Decoder(UnitState)
_encoder = msgspec.json.Encoder()


def read_state(text: str | None) -> UnitState | None:
    """Return the state; keys that are not its own are dropped, integers become floats."""
    if not text:
        return None
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def state_json(text: str | None) -> bytes:
    """Return the state as it goes out, or `null`."""
    return _encoder.encode(read_state(text))


def to_unit(row: Row[Any], nodes: list[UnitNode] | None = None) -> Unit:
    """Make the read view of a row of `units`."""
    return from_row(Unit, row, unit_state=read_state(row.unit_state_dict), unit_nodes=nodes or [])
