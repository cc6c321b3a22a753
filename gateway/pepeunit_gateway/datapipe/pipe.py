"""A configuration made ready for the hot path: everything is decided once that does not depend on the message."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pepeunit_gateway.datapipe.config import (
    ActivePeriodType,
    DataPipeConfig,
    FilteringType,
    Filters,
    InputType,
    PolicyType,
    ThresholdType,
    Transformations,
)

__all__ = ["Pipe", "compile_pipe"]


@dataclass(frozen=True, slots=True)
class Pipe:
    """What `stages.evaluate` and `policies.keep` need; None means that the step does nothing."""

    start: datetime | None
    end: datetime | None
    is_number: bool
    allowed: frozenset[str | float] | None
    refused: frozenset[str | float] | None
    low: float | None
    high: float | None
    max_rate: timedelta | None
    max_size: int | None  # bytes of the raw payload
    unique: bool
    ratio: float | None
    decimals: int | None
    cut: slice | None
    policy: PolicyType
    window: timedelta | None


def compile_pipe(config: DataPipeConfig) -> Pipe:
    """Make the pipe of a valid configuration."""
    period, filters, policy = config.active_period, config.filters, config.processing_policy
    listed = _listed(filters)
    kind = filters.type_value_filtering
    low, high = _thresholds(filters)
    ratio, decimals, cut = _transformations(config.transformations, is_number=_is_number(filters))
    return Pipe(
        start=period.start if period.type in {ActivePeriodType.FROM_DATE, ActivePeriodType.DATE_RANGE} else None,
        end=period.end if period.type in {ActivePeriodType.TO_DATE, ActivePeriodType.DATE_RANGE} else None,
        is_number=_is_number(filters),
        allowed=listed if kind is FilteringType.WHITE_LIST else None,
        refused=listed if kind is FilteringType.BLACK_LIST else None,
        low=low,
        high=high,
        max_rate=timedelta(seconds=filters.max_rate) if filters.max_rate else None,
        max_size=filters.max_size or None,
        unique=filters.last_unique_check,
        ratio=ratio,
        decimals=decimals,
        cut=cut,
        policy=policy.policy_type,
        window=timedelta(seconds=policy.time_window_size)
        if policy.time_window_size and policy.policy_type is PolicyType.TIME_WINDOW
        else None,
    )


def _is_number(filters: Filters) -> bool:
    return filters.type_input_value is InputType.NUMBER


def _listed(filters: Filters) -> frozenset[str | float]:
    """The entries that a payload can equal: strings for Text, 64-bit floats for Number."""
    values = filters.filtering_values or []
    if _is_number(filters):
        return frozenset(float(value) for value in values if not isinstance(value, str))
    return frozenset(value for value in values if isinstance(value, str))


def _thresholds(filters: Filters) -> tuple[float | None, float | None]:
    """Only Number has thresholds (B12)."""
    if not _is_number(filters):
        return None, None
    match filters.type_value_threshold:
        case ThresholdType.MIN:
            return filters.threshold_min, None
        case ThresholdType.MAX:
            return None, filters.threshold_max
        case ThresholdType.RANGE:
            return filters.threshold_min, filters.threshold_max
        case None:
            return None, None


def _transformations(
    wanted: Transformations | None, *, is_number: bool
) -> tuple[float | None, int | None, slice | None]:
    if wanted is None:
        return None, None, None
    if is_number:
        return wanted.multiplication_ratio, wanted.round_decimal_point, None
    if wanted.slice_start is None and wanted.slice_end is None:
        return None, None, None
    return None, None, slice(wanted.slice_start, wanted.slice_end)
