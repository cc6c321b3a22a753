"""Pepeunit for MicroPython: the same public API as the package for CPython.

Names are loaded when they are first asked for, so that boot.py can call recover() without the memory of the rest.
"""

DELIVERED = "delivered"  # the broker acknowledged the message
QUEUED = "queued"  # kept in memory, the last one of each topic, until the broker takes it
DROPPED = "dropped"  # will never be sent: too large, or no room to keep it

RESTART_EXIT_CODE = 75  # run() ends with it after an update: "start me again"

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


def __getattr__(name):
    if name == "Unit":
        from pepeunit.unit import Unit

        return Unit
    if name == "recover":
        from pepeunit.switch import recover

        return recover
    if name == "Message":
        from pepeunit.message import Message

        return Message
    if name.endswith("Error"):
        import pepeunit.errors as errors

        return getattr(errors, name)
    raise AttributeError(name)
