"""Secrets that the first start makes and the data folder keeps, and the change of the key that signs tokens.

    secrets.json    secret_key, encrypt_key, and secret_key_previous while old and new are valid side by side

A secret that is set as a variable wins and is not written down. Source: design.md rule 6, decisions.md 3; W4, W40.
"""

import base64
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.kept_file import read_kept, write_kept

__all__ = ["drop_previous_key", "fill_secrets", "rotate_secret_key"]

_FILE = "secrets.json"
_LOCK = "secrets.lock"
_KEY, _PREVIOUS, _ENCRYPT = "secret_key", "secret_key_previous", "encrypt_key"


def fill_secrets(settings: Settings) -> Settings:
    """Return the settings with every secret that is not set, made now if it is the first time.

    Raises:
        StartError: what is kept is damaged.
    """
    made = {_KEY: _new_key(), _ENCRYPT: base64.b64encode(os.urandom(32)).decode()}
    with _kept(settings.data_dir) as (path, kept):
        missing = {name: value for name, value in made.items() if name not in kept and not _given(settings, name)}
        if missing:
            kept.update(missing)
            write_kept(path, kept)
    names = [name for name in made if not _given(settings, name)]
    if _KEY in names and not _given(settings, _PREVIOUS):
        names.append(_PREVIOUS)  # the kept one goes with the kept key alone
    return settings.model_copy(update={name: SecretStr(kept[name]) for name in names if name in kept})


def rotate_secret_key(settings: Settings) -> None:
    """Make a new key; tokens that the old one signed stay valid until `drop_previous_key`. Counts from the next start.

    Raises:
        StartError: the key is not kept here, or an earlier change of it is not finished; nothing is changed.
    """
    if _given(settings, _KEY) or _given(settings, _PREVIOUS):
        raise StartError(
            "PU_SECRET_KEY or PU_SECRET_KEY_PREVIOUS is set, so this command has nothing to change. Change the "
            "variables themselves: the present key to PU_SECRET_KEY_PREVIOUS, a new one of at least 32 characters to "
            "PU_SECRET_KEY, in every gateway; then restart"
        )
    with _kept(settings.data_dir) as (path, kept):
        if _KEY not in kept:
            raise StartError(f"There is no key in {settings.data_dir} yet; the first start makes one")
        if _PREVIOUS in kept:
            raise StartError(
                "The key before the present one is still accepted; a third would cut off what it signed. Drop it first "
                "with --drop-previous"
            )
        write_kept(path, {**kept, _KEY: _new_key(), _PREVIOUS: kept[_KEY]})


def drop_previous_key(settings: Settings) -> None:
    """Forget the previous key: from the next start on what it signed is refused.

    Raises:
        StartError: there is none.
    """
    with _kept(settings.data_dir) as (path, kept):
        if _PREVIOUS not in kept:
            raise StartError(f"No previous key is kept in {settings.data_dir}; there is nothing to drop")
        write_kept(path, {name: value for name, value in kept.items() if name != _PREVIOUS})


def _new_key() -> str:
    return secrets.token_urlsafe(32)


def _given(settings: Settings, name: str) -> bool:
    value: SecretStr = getattr(settings, name)
    return bool(value.get_secret_value())


@contextmanager
def _kept(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Hold a lock between processes around reading and writing: two that start at once make one set of secrets."""
    with (folder / _LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = folder / _FILE
        yield path, read_kept(path)
