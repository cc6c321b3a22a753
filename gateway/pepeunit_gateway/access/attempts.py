"""Which login attempts are refused: too many failed ones of one account or from one address.

Only failures count, so that a fleet or an office behind one address is never in its own way. While a limit holds, the
right password is refused too: otherwise a guesser would be told when it is found. Source: decisions.md 18, W14.

An account has two names, its login and a chat id, and nobody may learn which belong together. So failures are counted
twice: by what was typed, where the limit is told to the caller, and by the account, where it is not. While an account
is limited, another name of it is answered as a wrong password, which is what a name that nobody has would get.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from pepeunit_gateway.errors import TooManyRequestsError

__all__ = ["Failures", "account_key", "address_key", "check_attempt", "push_key", "typed_key"]


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
    """Name the counter of an account; one that does not exist has its counter too, so that all mean the same work."""
    return f"login:account:{user or _hashed(credentials)}"


def typed_key(credentials: str) -> str:
    """Name the counter of what was typed, whether an account has that name or not."""
    return f"login:typed:{_hashed(credentials)}"


def address_key(site: str) -> str:
    """Name the counter of an address."""
    return f"login:address:{site}"


def push_key(site: str) -> str:
    """Name the counter of an address from which pushes are told that nobody signed."""
    return f"push:address:{site}"


def _hashed(credentials: str) -> str:
    """Hide what was typed: it may be a password in the wrong field."""
    return sha256(credentials.encode("utf-8", "surrogatepass")).hexdigest()


def check_attempt(failures: Iterable[Failures]) -> None:
    """Let an attempt pass where what was typed and the address are both below their limits.

    Raises:
        TooManyRequestsError: one is not; says when to come again.
    """
    waits = [max(1, math.ceil(one.seconds_left)) for one in failures if one.limited]
    if waits:
        raise TooManyRequestsError(
            f"too many failed logins; wait {max(waits)} s, then try again", retry_after=max(waits)
        )
