"""What becomes of an accepted value. Every row carries its own node's settings (W59).

Source: protocol/datapipe.md 6.1 and 6.3.
"""

from datetime import datetime
from uuid import UUID

from pepeunit_gateway.datapipe.batch import Batch
from pepeunit_gateway.datapipe.config import InputType, PolicyType
from pepeunit_gateway.datapipe.pipe import Pipe
from pepeunit_gateway.errors import DataPipeError
from pepeunit_gateway.storage.telemetry import LastValueRow, WindowRow

__all__ = ["check_available", "keep"]

_AVAILABLE = (PolicyType.LAST_VALUE, PolicyType.TIME_WINDOW)


def check_available(policy: PolicyType) -> None:
    """Refuse a policy that this version cannot store.

    Raises:
        DataPipeError: with what to use instead.
    """
    if policy not in _AVAILABLE:
        names = " or ".join(_AVAILABLE)
        raise DataPipeError(f"the policy {policy} comes with a later version; use {names} until then")


def keep(pipe: Pipe, node: UUID, value: str, now: datetime, batch: Batch) -> None:
    """Put an accepted value into the batch.

    LastValue: the newest value and its time of arrival. TimeWindow: one row that expires after the window, its
    expiration truncated to a whole second; `size` is in bytes of UTF-8.
    """
    if pipe.window is None:
        batch.last_values[node] = LastValueRow(node, value, now)
        return
    expiration = (now + pipe.window).replace(microsecond=0)
    kind = InputType.NUMBER if pipe.is_number else InputType.TEXT
    batch.windows.append(WindowRow(node, value, kind.value, now, expiration, len(value.encode())))
