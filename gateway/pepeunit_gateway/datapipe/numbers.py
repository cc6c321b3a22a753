"""Numbers as existing configurations and data expect them: read and printed like the first implementation's language.

Source: protocol/datapipe.md 4. Python's own `float()` accepts blanks, other alphabets' digits and signed NaN, and
refuses hex floats, therefore the grammar is checked here.
"""

import math
import re

__all__ = ["format_fixed", "parse_number"]

_DIGITS = r"[0-9](?:_?[0-9])*+"
_HEX_DIGITS = r"[0-9a-f](?:_?[0-9a-f])*+"
_DECIMAL = re.compile(
    rf"[+-]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:e[+-]?{_DIGITS})?", re.IGNORECASE | re.ASCII
)
_HEX = re.compile(
    rf"[+-]?0x_?(?:{_HEX_DIGITS}(?:\.(?:{_HEX_DIGITS})?)?|\.{_HEX_DIGITS})p[+-]?{_DIGITS}", re.IGNORECASE | re.ASCII
)
_SPECIAL = re.compile(r"[+-]?inf(?:inity)?|nan", re.IGNORECASE | re.ASCII)


def parse_number(text: str) -> float | None:
    """Return the 64-bit float that `text` is, or None.

    Accepted: `1`, `-1.5`, `1e3`, `.5`, `1.`, `1_000`, `NaN`, `Inf`, `+infinity` (any case), `0x1.8p3`.
    Refused: blanks around it, a decimal comma, `0x10` without exponent, nothing at all, what overflows (`1e999`).
    """
    if _DECIMAL.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else None
    if _SPECIAL.fullmatch(text):
        return float(text)
    if _HEX.fullmatch(text):
        try:
            return float.fromhex(text.replace("_", ""))
        except OverflowError:
            return None
    return None


def format_fixed(number: float, decimals: int) -> str:
    """Print with exactly `decimals` decimals, never with an exponent; ties of the binary value go to even.

    0.5 with 0 decimals is `0`, 1.5 is `2`, -0.4 is `-0`; infinity is `+Inf` or `-Inf`, not a number is `NaN`.
    """
    if math.isfinite(number):
        return f"{number:.{decimals}f}"
    if math.isnan(number):
        return "NaN"
    return "+Inf" if number > 0 else "-Inf"
