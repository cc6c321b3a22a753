"""Credentials of private repositories: one slot per user, encrypted. Source: protocol/entities.md 1.2, W6, W20."""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from pepeunit_gateway.access.cipher import Cipher
from pepeunit_gateway.firmware.mirrors import Credentials
from pepeunit_gateway.registry.entities import CredentialStatus

__all__ = ["CredentialSlot", "candidates", "holders", "read_slots", "with_slot", "with_status", "write_slots"]

_MOST_CANDIDATES = 4


@dataclass(frozen=True, slots=True)
class CredentialSlot:
    """What one user stored, and whether it worked."""

    credentials: Credentials
    status: CredentialStatus


def read_slots(cipher: Cipher, stored: str | None) -> dict[UUID, CredentialSlot]:
    """Decrypt the column; an empty one has no slots."""
    if not stored:
        return {}
    return {
        UUID(user): CredentialSlot(Credentials(**slot["credentials"]), CredentialStatus(slot["status"]))
        for user, slot in json.loads(cipher.decrypt(stored)).items()
    }


def write_slots(cipher: Cipher, slots: dict[UUID, CredentialSlot]) -> str | None:
    """Encrypt the slots in the form of protocol/entities.md 1.2."""
    if not slots:
        return None
    plain = {
        str(user): {
            "credentials": {"username": slot.credentials.username, "pat_token": slot.credentials.pat_token},
            "status": slot.status.value,
        }
        for user, slot in slots.items()
    }
    return cipher.encrypt(json.dumps(plain))


def with_slot(slots: dict[UUID, CredentialSlot], user: UUID, credentials: Credentials) -> dict[UUID, CredentialSlot]:
    """Return the slots with the user's new, not yet verified credentials."""
    return {**slots, user: CredentialSlot(credentials, CredentialStatus.NOT_VERIFIED)}


def holders(slots: dict[UUID, CredentialSlot], credentials: Credentials) -> set[UUID]:
    """Return the users who stored exactly these."""
    return {user for user, slot in slots.items() if slot.credentials == credentials}


def with_status(
    slots: dict[UUID, CredentialSlot], credentials: Credentials, status: CredentialStatus, users: Collection[UUID]
) -> dict[UUID, CredentialSlot]:
    """Return the slots after exactly these credentials of these users were tried; no other slot learns from it."""
    tried = holders(slots, credentials) & {*users}
    return {user: replace(slot, status=status) if user in tried else slot for user, slot in slots.items()}


def candidates(slots: dict[UUID, CredentialSlot], now: datetime) -> list[Credentials]:
    """Return what a job tries in turn, at most four: what worked last time, then what failed, then what is new.

    New credentials come last: nobody can push aside what an owner stored by storing something of their own. Of several
    that worked another comes first every day, so that one that was withdrawn is found out within as many days as there
    are, and no longer opens the repository to whom it belonged.
    """
    by_status = {
        status: list(dict.fromkeys(slot.credentials for slot in slots.values() if slot.status is status))
        for status in (CredentialStatus.VALID, CredentialStatus.ERROR, CredentialStatus.NOT_VERIFIED)
    }
    valid = by_status[CredentialStatus.VALID]
    turn = now.toordinal() % len(valid) if valid else 0
    by_status[CredentialStatus.VALID] = valid[turn:] + valid[:turn]
    ordered = [credentials for some in by_status.values() for credentials in some]
    return list(dict.fromkeys(ordered))[:_MOST_CANDIDATES]
