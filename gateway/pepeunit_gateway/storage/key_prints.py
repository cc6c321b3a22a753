"""Which keys the rows of a database belong to, so that a gateway with others is refused and not found out by users.

The database keeps prints of PU_ENCRYPT_KEY and PU_SECRET_KEY, from which no key can be found, and the PU_DOMAIN that
units were told last. The first start writes them. The print of PU_SECRET_KEY moves on where the previous key is the one
it belongs to. Source: decisions.md 3; W40.
"""

import hashlib
import hmac
from typing import Any

import structlog
from pydantic import SecretStr
from sqlalchemy import RowMapping, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.outages import DatabaseAwayError
from pepeunit_gateway.storage.own_tables import key_prints
from pepeunit_gateway.storage.postgresql import shown, unreachable
from pepeunit_gateway.storage.told_domains import note_move

__all__ = ["accept_keys", "check_keys"]

_ONLY = 1
_SIZE = 16  # characters: enough to tell keys apart
_LOST = "if it is lost for good: pepeunit gateway accept-keys"

log = structlog.get_logger(__name__)


def _print(key: SecretStr) -> str:
    """Return what tells a key from another and does not give it away."""
    return hmac.new(key.get_secret_value().encode(), b"pepeunit key print", hashlib.sha256).hexdigest()[:_SIZE]


def _present(settings: Settings) -> dict[str, Any]:
    return {"encrypt_key": _print(settings.encrypt_key), "secret_key": _print(settings.secret_key)}


def _judge(found: RowMapping, settings: Settings, name: str) -> dict[str, Any]:
    """Return what must be written, nothing where all is as it was.

    Raises:
        StartError: a key is another one.
    """
    present = _present(settings)
    if found["encrypt_key"] != present["encrypt_key"]:
        raise StartError(
            f"The database {name} was written with another PU_ENCRYPT_KEY, so what is encrypted in it could not be "
            f"read. Set the PU_ENCRYPT_KEY of before, or restore secrets.json of its data folder; {_LOST}"
        )
    if found["secret_key"] == present["secret_key"]:
        return {}
    previous = settings.secret_key_previous
    if previous.get_secret_value() and found["secret_key"] == _print(previous):
        return present
    raise StartError(
        f"The database {name} belongs to gateways with another PU_SECRET_KEY, whose tokens would be refused. Set the "
        "PU_SECRET_KEY of before, or restore secrets.json of its data folder; to change it, set the one of before as "
        f"PU_SECRET_KEY_PREVIOUS; {_LOST}"
    )


def _compare_domain(found: RowMapping, domain: str | None) -> dict[str, Any]:
    if domain is None or found["domain"] == domain:
        return {}
    if found["domain"] is not None:
        log.warning(
            "storage.domain.differs",
            before=found["domain"],
            now=domain,
            hint="units are heard at the old one until they fetch their schema.json; set the same PU_DOMAIN in every "
            "gateway of this database",
        )
    return {"domain": domain}


async def _found(connection: AsyncConnection) -> RowMapping | None:
    return (await connection.execute(select(key_prints))).mappings().one_or_none()


async def _check(database: Database, settings: Settings, domain: str | None) -> None:
    name = shown(database.url)
    async with database.look() as connection:
        found = await _found(connection)
    if found is not None and found["domain"] == (domain or found["domain"]) and not _judge(found, settings, name):
        return
    async with database.act() as connection:  # alone, so that of two first starts the second is judged
        found = await _found(connection)
        if found is None:
            await connection.execute(key_prints.insert().values(id=_ONLY, domain=domain, **_present(settings)))
        elif changes := {**_judge(found, settings, name), **_compare_domain(found, domain)}:
            await connection.execute(key_prints.update().values(**changes))
            if domain is not None and found["domain"] not in (None, domain):
                await note_move(connection, before=found["domain"], now=domain)


async def check_keys(database: Database, settings: Settings, *, domain: str | None = None) -> None:
    """Refuse keys with which the rows were not written; a database without prints gets those of these keys.

    Args:
        database: has the schema of this version.
        settings: with every key filled in.
        domain: what units are told; one that differs is a warning in the log.

    Raises:
        StartError: a key is another one, or the database cannot be asked; says what to do.
    """
    try:
        await _check(database, settings, domain)
    except DatabaseAwayError as error:
        raise StartError(unreachable(database.url, error)) from error
    except DBAPIError as error:
        raise StartError(f"The database {shown(database.url)} cannot be used: {error.orig}; start again") from error


async def accept_keys(database: Database, settings: Settings) -> None:
    """Take the present keys for those of the database, whatever it was written with."""
    async with database.act() as connection:
        if await _found(connection) is None:
            await connection.execute(key_prints.insert().values(id=_ONLY, **_present(settings)))
        else:
            await connection.execute(key_prints.update().values(**_present(settings)))
