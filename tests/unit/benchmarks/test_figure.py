"""The line that a benchmark prints."""

import pytest

from tests.benchmarks.figure import Figure, Goal


@pytest.mark.parametrize(
    ("figure", "line"),
    [
        (Figure("gateway.start", 1.234, "s", Goal("<=", 2)), "bench gateway.start 1.234 s goal <= 2 met"),
        (Figure("gateway.start", 2.5, "s", Goal("<=", 2)), "bench gateway.start 2.5 s goal <= 2 short"),
        (Figure("door.rate", 900, "msg/s", Goal(">=", 1000)), "bench door.rate 900 msg/s goal >= 1000 short"),
        (Figure("door.rate", 1000, "msg/s", Goal(">=", 1000)), "bench door.rate 1000 msg/s goal >= 1000 met"),
        (Figure("sdk.import", 1.05, "x"), "bench sdk.import 1.05 x"),
    ],
)
def test_a_figure_is_one_line(figure: Figure, line: str) -> None:
    assert figure.line() == line
