"""The configuration of one pipe as a checked model; its JSON text is kept in `units_nodes.data_pipe_yml`.

Source: protocol/datapipe.md 2. What is done better than there:
B9   datetimes without an offset are UTC and are stored with it
B10  NaN and infinity are refused, and so is any text that UTF-8 cannot carry
B19  thresholds may have fractions
"""

import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    model_validator,
)

__all__ = [
    "DEFAULT_MAX_SIZE",
    "WINDOW_SIZES",
    "ActivePeriodType",
    "DataPipeConfig",
    "FilteringType",
    "InputType",
    "PolicyType",
    "ThresholdType",
]

WINDOW_SIZES = (60, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 14_400, 21_600, 28_800, 43_200, 86_400)
"""The allowed windows in seconds; all divide a day."""

DEFAULT_MAX_SIZE = 262_144
"""Bound of `filters.max_size` unless the validation's context names another, in bytes."""

_EXACT = 2.0**53


class ActivePeriodType(StrEnum):
    PERMANENT = "Permanent"
    FROM_DATE = "FromDate"
    TO_DATE = "ToDate"
    DATE_RANGE = "DateRange"


class InputType(StrEnum):
    TEXT = "Text"
    NUMBER = "Number"


class FilteringType(StrEnum):
    WHITE_LIST = "WhiteList"
    BLACK_LIST = "BlackList"


class ThresholdType(StrEnum):
    MIN = "Min"
    MAX = "Max"
    RANGE = "Range"


class PolicyType(StrEnum):
    LAST_VALUE = "LastValue"
    N_RECORDS = "NRecords"
    TIME_WINDOW = "TimeWindow"
    AGGREGATION = "Aggregation"


class AggregationFunction(StrEnum):
    AVG = "Avg"
    MIN = "Min"
    MAX = "Max"
    SUM = "Sum"


def _utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is outside the years 1 to 9999") from None


def _storable(value: str | float) -> str | float:
    if isinstance(value, str):
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError("filtering_values must be valid Unicode")
    elif not abs(value) <= sys.float_info.max:
        raise ValueError("filtering_values must be finite numbers")
    return value


def _whole(value: float) -> int | float:
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value


_Moment = Annotated[datetime, AfterValidator(_utc)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Threshold = Annotated[_Finite, PlainSerializer(_whole, return_type=int | float)]
_ListValue = Annotated[str | int | float, AfterValidator(_storable)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ActivePeriod(_Section):
    type: ActivePeriodType
    start: _Moment | None = None
    end: _Moment | None = None

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        match self.type:
            case ActivePeriodType.FROM_DATE if self.start is None:
                raise ValueError("start must be provided for FROM_DATE")
            case ActivePeriodType.TO_DATE if self.end is None:
                raise ValueError("end must be provided for TO_DATE")
            case ActivePeriodType.DATE_RANGE if self.start is None or self.end is None:
                raise ValueError("start and end must be provided for DATE_RANGE")
            case ActivePeriodType.DATE_RANGE if self.start and self.end and self.start >= self.end:
                raise ValueError("start must be before end for DATE_RANGE")
        return self


class Filters(_Section):
    type_input_value: InputType
    type_value_filtering: FilteringType | None = None
    filtering_values: list[_ListValue] | None = None
    type_value_threshold: ThresholdType | None = None
    threshold_min: _Threshold | None = None
    threshold_max: _Threshold | None = None
    max_rate: int = Field(ge=0, le=86_400)
    last_unique_check: bool = False
    max_size: int = Field(ge=0)

    @model_validator(mode="after")
    def _fits(self, info: ValidationInfo) -> Self:
        self._check_list()
        if self.type_input_value is InputType.NUMBER:
            self._check_thresholds()
        limit = (info.context or {}).get("max_size", DEFAULT_MAX_SIZE)
        if self.max_size > limit:
            raise ValueError(f"max_size must be <= {limit}")
        return self

    def _check_list(self) -> None:
        if self.type_value_filtering is None or not self.filtering_values:
            return
        strings = [isinstance(value, str) for value in self.filtering_values]
        if self.type_input_value is InputType.NUMBER and any(strings):
            raise ValueError("filtering_values must be numeric for NUMBER input")
        if self.type_input_value is InputType.TEXT and not all(strings):
            raise ValueError("filtering_values must be strings for TEXT input")

    def _check_thresholds(self) -> None:
        low, high = self.threshold_min, self.threshold_max
        match self.type_value_threshold:
            case ThresholdType.MIN if low is None:
                raise ValueError("threshold_min is required for MIN threshold")
            case ThresholdType.MAX if high is None:
                raise ValueError("threshold_max is required for MAX threshold")
            case ThresholdType.RANGE if low is None or high is None:
                raise ValueError("Both threshold_min and threshold_max are required for RANGE threshold")
            case ThresholdType.RANGE if low is not None and high is not None and low >= high:
                raise ValueError("threshold_min must be less than threshold_max")


class Transformations(_Section):
    multiplication_ratio: _Finite | None = None
    round_decimal_point: int | None = Field(None, ge=0, le=7)
    slice_start: int | None = None
    slice_end: int | None = None


class ProcessingPolicy(_Section):
    policy_type: PolicyType
    n_records_count: int | None = None
    time_window_size: int | None = None
    aggregation_functions: AggregationFunction | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.policy_type is PolicyType.N_RECORDS:
            if self.n_records_count is None:
                raise ValueError("n_records_count is required for N_RECORDS")
            if not 1 <= self.n_records_count <= 1024:  # noqa: PLR2004 - the bound stands in the message
                raise ValueError("n_records_count must be between 1 and 1024")
        if self.policy_type in {PolicyType.TIME_WINDOW, PolicyType.AGGREGATION}:
            if self.time_window_size is None:
                raise ValueError("time_window_size is required")
            if self.time_window_size not in WINDOW_SIZES:
                raise ValueError(f"Invalid time_window_size. Must be one of: {list(WINDOW_SIZES)}")
        if self.policy_type is PolicyType.AGGREGATION and self.aggregation_functions is None:
            raise ValueError("aggregation_functions is required for AGGREGATION")
        return self


class DataPipeConfig(_Section):
    """A valid configuration; `model_dump_json()` is what is stored."""

    active_period: ActivePeriod
    filters: Filters
    transformations: Transformations | None = None
    processing_policy: ProcessingPolicy
