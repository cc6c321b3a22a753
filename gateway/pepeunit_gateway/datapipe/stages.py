"""How one message is judged. Pure: the pipe, the node's memory, the payload and the time are arguments.

Source: protocol/datapipe.md 3 to 5, in its order. What is done better than there:
B2   a payload that is not UTF-8 or holds NUL is refused here, before it can harm a batch
B11  the unique check compares the value that would be stored with the last stored one
B12  thresholds do not touch Text; a Number pipe refuses what is not a number
B13  text is cut between characters, never inside one
B20  a message outside the active period is counted, not logged
"""

from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from pepeunit_gateway.datapipe.numbers import format_fixed, parse_number
from pepeunit_gateway.datapipe.pipe import Pipe

__all__ = ["Drop", "NodeState", "Verdict", "evaluate"]

_MULTIPLIED_DECIMALS = 6
_NO_TIME = timedelta(0)


class Drop(Enum):
    """Why a message is not kept."""

    PERIOD = "period"
    BAD_TEXT = "bad_text"
    NOT_A_NUMBER = "not_a_number"
    LIST = "list"
    THRESHOLD = "threshold"
    RATE = "rate"
    SIZE = "size"
    UNCHANGED = "unchanged"


class NodeState(NamedTuple):
    """What is remembered of the last accepted message: when it arrived and the value that was kept."""

    time: datetime
    value: str


class Verdict(NamedTuple):
    """Either `drop` says why the message is not kept, or `value` is what to keep."""

    drop: Drop | None
    value: str = ""


def evaluate(pipe: Pipe, state: NodeState | None, payload: bytes, now: datetime) -> Verdict:
    """Judge one message; `state` is None until the node's first accepted message.

    NaN passes thresholds, as it always did. A clock that was set back does not silence a node: time that ran
    backwards counts as enough time for `max_rate`.
    """
    if (pipe.start is not None and not now > pipe.start) or (pipe.end is not None and not now < pipe.end):
        return Verdict(Drop.PERIOD)
    text = _decode(payload)
    if text is None:
        return Verdict(Drop.BAD_TEXT)
    number = None
    if pipe.is_number:
        number = parse_number(text)
        if number is None:
            return Verdict(Drop.NOT_A_NUMBER)
    drop = _filtered(pipe, text if number is None else number)
    if drop is None and state is not None and pipe.max_rate and _NO_TIME <= now - state.time < pipe.max_rate:
        drop = Drop.RATE
    if drop is None and pipe.max_size and len(payload) > pipe.max_size:
        drop = Drop.SIZE
    if drop is not None:
        return Verdict(drop)
    value = text[pipe.cut] if pipe.cut else text
    if number is not None:
        value = _calculate(pipe, text, number)
    if pipe.unique and state is not None and value == state.value:
        return Verdict(Drop.UNCHANGED)
    return Verdict(None, value)


def _decode(payload: bytes) -> str | None:
    if b"\0" in payload:
        return None
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


def _filtered(pipe: Pipe, value: str | float) -> Drop | None:
    """Apply list and thresholds; a white list without entries lets nothing through."""
    if pipe.allowed is not None and value not in pipe.allowed:
        return Drop.LIST
    if pipe.refused is not None and value in pipe.refused:
        return Drop.LIST
    if isinstance(value, float):
        if pipe.low is not None and value < pipe.low:
            return Drop.THRESHOLD
        if pipe.high is not None and value > pipe.high:
            return Drop.THRESHOLD
    return None


def _calculate(pipe: Pipe, text: str, number: float) -> str:
    """Multiply (six decimals), then round what was printed; with neither set the payload stays as it came."""
    if pipe.ratio is not None:
        text = format_fixed(number * pipe.ratio, _MULTIPLIED_DECIMALS)
        number = float(text)
    if pipe.decimals is not None:
        text = format_fixed(number, pipe.decimals)
    return text
