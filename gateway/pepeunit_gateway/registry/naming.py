"""Rules for names and passwords. Source: protocol/validation.md 10."""

import string

from pepeunit_gateway.errors import ApiError, UserError

__all__ = ["check_login", "check_name", "check_password"]

_NAME_SYMBOLS = frozenset(string.ascii_letters + string.digits + "_-.")
_NAME_LENGTH = range(4, 21)
_PASSWORD_SYMBOLS = frozenset(string.ascii_letters + string.digits + string.punctuation)
_PASSWORD_LENGTH = range(8, 101)


def check_name(name: str, what: str, error: type[ApiError]) -> None:
    """Refuse a name of a user, repo or unit that is not 4 to 20 characters of letters, digits, `_`, `-`, `.`."""
    if len(name) not in _NAME_LENGTH:
        raise error(f"{what} must have 4 to 20 characters")
    if not _NAME_SYMBOLS.issuperset(name):
        raise error(f"{what} may hold only ASCII letters, digits and the characters _ - .")


def check_login(login: str) -> None:
    """Refuse a login that could be the chat id of a messenger: it would be found in its place (W14)."""
    check_name(login, "the login", UserError)
    if login.removeprefix("-").isdigit():
        raise UserError("the login may not be a number: it could be taken for the chat id of a messenger")


def check_password(password: str) -> None:
    """Refuse a password that is not 8 to 100 ASCII letters, digits and punctuation characters."""
    if len(password) not in _PASSWORD_LENGTH:
        raise UserError("the password must have 8 to 100 characters")
    if not _PASSWORD_SYMBOLS.issuperset(password):
        raise UserError("the password may hold only ASCII letters, digits and punctuation, no space")
