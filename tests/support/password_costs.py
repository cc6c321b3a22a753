"""Passwords that cost next to nothing to hash, for tests that are not about them.

The program's own cost takes an eighth of a second of CPU per hash, and every test that makes people hashes many times.
The parameters alone differ: the form of a hash, its checks and its made-up counterpart stay.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from argon2 import PasswordHasher

from pepeunit_gateway.access import passwords

__all__ = ["cheap_passwords", "costly_passwords"]

_COSTLY = passwords._HASHER, passwords._NOBODY
_HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
_CHEAP = _HASHER, _HASHER.hash("nobody")


@contextmanager
def _using(costs: tuple[PasswordHasher, str]) -> Iterator[None]:
    before = passwords._HASHER, passwords._NOBODY
    passwords._HASHER, passwords._NOBODY = costs
    try:
        yield
    finally:
        passwords._HASHER, passwords._NOBODY = before


def cheap_passwords() -> AbstractContextManager[None]:
    """Hash and verify in this process at the lowest cost for the length of the block."""
    return _using(_CHEAP)


def costly_passwords() -> AbstractContextManager[None]:
    """Hash and verify as the program does for the length of the block."""
    return _using(_COSTLY)
