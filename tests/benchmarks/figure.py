"""One measured figure and the line it is printed as."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Figure", "Goal"]


@dataclass(frozen=True)
class Goal:
    """What a figure should be: at most or at least `value`."""

    sign: Literal["<=", ">="]
    value: float

    def is_met(self, value: float) -> bool:
        return value <= self.value if self.sign == "<=" else value >= self.value


@dataclass(frozen=True)
class Figure:
    """A value with its unit; a ratio has the unit `x`."""

    name: str
    value: float
    unit: str
    goal: Goal | None = None

    def line(self) -> str:
        """`bench NAME VALUE UNIT goal <=|>= VALUE met|short`; without a goal it ends after the unit."""
        text = f"bench {self.name} {self.value:.4g} {self.unit}"
        if self.goal is None:
            return text
        verdict = "met" if self.goal.is_met(self.value) else "short"
        return f"{text} goal {self.goal.sign} {self.goal.value:g} {verdict}"
