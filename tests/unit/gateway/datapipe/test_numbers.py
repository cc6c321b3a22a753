import math

import pytest

from pepeunit_gateway.datapipe.numbers import format_fixed, parse_number

ACCEPTED = [
    ("1", 1.0),
    ("-1.5", -1.5),
    ("+2", 2.0),
    ("1e3", 1000.0),
    ("1E+3", 1000.0),
    ("5e0", 5.0),
    (".5", 0.5),
    ("1.", 1.0),
    ("007", 7.0),
    ("1_000", 1000.0),
    ("1_23.50_0_0e+1_2", 1.235e14),
    ("1e-999", 0.0),
    ("Inf", math.inf),
    ("+inf", math.inf),
    ("-Infinity", -math.inf),
    ("0x1p4", 16.0),
    ("0X1.8P3", 12.0),
    ("0x_1_0p0", 16.0),
    ("-0x.8p0", -0.5),
    ("1" * 200_000 + "e-199999", 1.1111111111111112),
]
REFUSED = [
    "",
    " 1",
    "1 ",
    "1\n",
    "1,5",
    "0x10",
    "0x1",
    "1e999",
    "-1e999",
    "0x1p99999",
    ".",
    "e5",
    "1e",
    "_1",
    "1_",
    "1__0",
    "1_.5",
    "+nan",
    "-NaN",
    "infin",
    "nanx",
    "\u0661",  # a digit, but not of ASCII
    "½",
    "true",
    "--1",
]


@pytest.mark.parametrize(("text", "number"), ACCEPTED, ids=lambda value: str(value)[:20])
def test_a_number_is_read_as_the_first_implementation_read_it(text, number):
    assert parse_number(text) == number


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_number_is_refused(text):
    assert parse_number(text) is None


@pytest.mark.parametrize("text", ["NaN", "nan", "NAN"])
def test_not_a_number_is_read_without_a_sign_only(text):
    number = parse_number(text)
    assert number is not None
    assert math.isnan(number)


@pytest.mark.parametrize(
    ("number", "decimals", "text"),
    [
        (3.0, 6, "3.000000"),
        (5e-9, 6, "0.000000"),
        (0.5, 0, "0"),
        (1.5, 0, "2"),
        (2.5, 0, "2"),
        (-0.4, 0, "-0"),
        (1e20, 0, "100000000000000000000"),
        (9.0, 2, "9.00"),
        (2.675, 2, "2.67"),
        (math.inf, 2, "+Inf"),
        (-math.inf, 2, "-Inf"),
        (math.nan, 2, "NaN"),
    ],
)
def test_a_number_is_printed_with_fixed_decimals(number, decimals, text):
    assert format_fixed(number, decimals) == text
