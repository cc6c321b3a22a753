"""Passwords: argon2id for all that is new, and the contract's PBKDF2 for accounts that were taken over.

The functions cost tens of milliseconds: call them in a worker thread. Every verification does the same work, whatever
the account: one argon2id hash always, and one PBKDF2 hash where PU_STATIC_SALT is set. What the account has no use for
is done with a made-up hash, so that time tells nothing (W14). Source: protocol/security.md 3.3.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

__all__ = ["StoredPassword", "Verdict", "hash_password", "verify_password"]

_HASHER = PasswordHasher()
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$bm9ib2R5bm9ib2R5bm9ibw$MnGQqBrKgKQNvxSU6fjMMCg6j1GFuNNnpQHhZOqKs6E"
_ARGON2 = "$argon2"
_NOBODYS_SALT = "bm9ib2R5bm9ib2R5bm9ibw=="
_ITERATIONS = 100_000
_DIGEST_SIZE = 32


@dataclass(frozen=True, slots=True)
class StoredPassword:
    """What the row of an account holds.

    `hashed` is the PHC text of argon2id, or base64 of a PBKDF2 digest; then `salt` is its dynamic salt, decrypted.
    """

    hashed: str = field(repr=False)
    salt: str = field(default="", repr=False)

    @property
    def is_argon2(self) -> bool:
        return self.hashed.startswith(_ARGON2)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the password is the right one, and whether a new hash should take the stored one's place."""

    right: bool
    outdated: bool = False


def hash_password(password: str) -> str:
    """Return the argon2id hash in its PHC text form, salt and parameters included."""
    return _HASHER.hash(password)


def verify_password(password: str, stored: StoredPassword | None, *, static_salt: str) -> Verdict:
    """Compare in constant time.

    Args:
        password: as it was typed.
        stored: None for an account that does not exist, or whose hash cannot be verified; always wrong.
        static_salt: PU_STATIC_SALT, without which a PBKDF2 hash is always wrong.
    """
    modern = stored if stored is not None and stored.is_argon2 else None
    old = stored if stored is not None and not stored.is_argon2 else None
    matches_modern = _matches_argon2(password, modern.hashed if modern else _NOBODY)
    matches_old = _matches_pbkdf2(password, old or StoredPassword("", _NOBODYS_SALT), static_salt)
    if modern:
        return Verdict(matches_modern, outdated=matches_modern and _HASHER.check_needs_rehash(modern.hashed))
    return Verdict(right=old is not None and matches_old, outdated=old is not None and matches_old)


def _matches_argon2(password: str, hashed: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def _matches_pbkdf2(password: str, stored: StoredPassword, static_salt: str) -> bool:
    if not static_salt:
        return False
    salt = (stored.salt + static_salt).encode()
    # surrogates, which JSON can carry, have no UTF-8 form; no password has them either
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(errors="replace"), salt, _ITERATIONS, _DIGEST_SIZE)
    return hmac.compare_digest(base64.b64encode(digest), stored.hashed.encode())
