"""Password hashing with argon2id. The functions cost tens of milliseconds: call them in a worker thread."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

__all__ = ["hash_password", "verify_password"]

_HASHER = PasswordHasher()
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$bm9ib2R5bm9ib2R5bm9ib2R5$MnGQqBrKgKQNvxSU6fjMMCg6j1GFuNNnpQHhZOqKs6E"


def hash_password(password: str) -> str:
    """Return the argon2id hash in its PHC text form, salt and parameters included."""
    return _HASHER.hash(password)


def verify_password(password: str, stored: str | None) -> bool:
    """Compare in constant time; `stored` None (unknown user) takes as long and is always False."""
    try:
        _HASHER.verify(stored or _NOBODY, password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None
