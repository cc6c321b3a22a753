"""The Pepeunit SDK for CPython: `from pepeunit import Unit`.

The same unit program runs on MicroPython, whose package of the same name has the same public names.
"""

from .errors import (
    ArchiveError,
    CipherError,
    EnvError,
    PepeunitError,
    RestError,
    SchemaError,
    SessionError,
    SwitchError,
    UnknownNameError,
)
from .message import DELIVERED, DROPPED, QUEUED, Message
from .recovery import RESTART_EXIT_CODE, recover
from .unit import Unit

__all__ = [
    "DELIVERED",
    "DROPPED",
    "QUEUED",
    "RESTART_EXIT_CODE",
    "ArchiveError",
    "CipherError",
    "EnvError",
    "Message",
    "PepeunitError",
    "RestError",
    "SchemaError",
    "SessionError",
    "SwitchError",
    "Unit",
    "UnknownNameError",
    "recover",
]
