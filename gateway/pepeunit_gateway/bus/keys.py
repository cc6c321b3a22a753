"""Keys of the cache and of counters may hold what strangers typed; a long one is replaced by its hash."""

from hashlib import sha256

__all__ = ["bounded_key"]

_MAX_LENGTH = 160


def bounded_key(key: str) -> str:
    """Return the key itself, or `sha256:` and the hash of one that is longer than 160 characters."""
    if len(key) <= _MAX_LENGTH:
        return key
    return "sha256:" + sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
