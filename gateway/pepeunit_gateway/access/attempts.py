"""Which login attempts are refused: too many failed ones of one account or from one address.

Only failures count, so that a fleet or an office behind one address is never in its own way. While a limit holds, the
right password is refused too: otherwise a guesser would be told when it is found. Source: decisions.md 18, W14.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from pepeunit_gateway.errors import TooManyRequestsError

__all__ = ["Failures", "account_key", "address_key", "check_attempt"]


@dataclass(frozen=True, slots=True)
class Failures:
    """How often something failed lately, how often it may, and the seconds until that is forgotten."""

    count: int
    most: int
    seconds_left: float

    @property
    def limited(self) -> bool:
        return self.count >= self.most

    @property
    def just_limited(self) -> bool:
        """Tell whether the last failure was the one that began the limit."""
        return self.count == self.most


def account_key(user: UUID | None, credentials: str) -> str:
    """Name the counter of an account. One that does not exist has its counter too, so that none tells which exist.

    What was typed is hashed: it may be a password in the wrong field.
    """
    return f"login:account:{user or sha256(credentials.encode('utf-8', 'surrogatepass')).hexdigest()}"


def address_key(site: str) -> str:
    """Name the counter of an address."""
    return f"login:address:{site}"


def check_attempt(failures: Iterable[Failures]) -> None:
    """Let an attempt pass whose account and address are both below their limits.

    Raises:
        TooManyRequestsError: one is not; says when to come again.
    """
    waits = [max(1, math.ceil(one.seconds_left)) for one in failures if one.limited]
    if waits:
        raise TooManyRequestsError(
            f"too many failed logins; wait {max(waits)} s, then try again", retry_after=max(waits)
        )
