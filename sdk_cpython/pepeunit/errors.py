"""The error tree of the SDK.

PepeunitError
├── EnvError           env.json is missing, broken or foreign
├── SchemaError        schema.json is missing or broken
├── UnknownNameError   a name or topic that the schema does not hold (also a LookupError)
├── RestError          a call to the gateway failed; carries `status` (None when no answer came) and `retry_after`
├── ArchiveError       a downloaded archive is cut, altered or not allowed
├── SwitchError        the new version cannot take the place of the old one
├── SessionError       the broker cannot be reached or refuses the unit
└── CipherError        wrong key, or a text that was not made by this key

No message ever holds a token or a key.
"""

__all__ = [
    "ArchiveError",
    "CipherError",
    "EnvError",
    "PepeunitError",
    "RestError",
    "SchemaError",
    "SessionError",
    "SwitchError",
    "UnknownNameError",
]


class PepeunitError(Exception):
    """Root of everything the SDK raises on purpose."""


class EnvError(PepeunitError):
    """env.json is missing, broken, incomplete or belongs to another unit."""


class SchemaError(PepeunitError):
    """schema.json is missing or broken."""


class UnknownNameError(PepeunitError, LookupError):
    """The schema holds no such name or topic."""


class RestError(PepeunitError):
    """A call to the gateway failed.

    `status` is the HTTP status, None when no complete answer came. `retry_after` is what the gateway asked for, in s.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ArchiveError(PepeunitError):
    """A downloaded archive is cut, altered, too large or holds what is not allowed."""


class SwitchError(PepeunitError):
    """The new version cannot take the place of the old one; the old one is intact."""


class SessionError(PepeunitError):
    """The broker cannot be reached, refuses the unit or stopped answering."""


class CipherError(PepeunitError):
    """The key has a wrong length, or the text was not encrypted with it."""
