"""Credentials of private repositories: one slot per user, encrypted. Source: protocol/entities.md 1.2, W6, W20."""

import json
from dataclasses import dataclass, replace
from uuid import UUID

from pepeunit_gateway.access.cipher import Cipher
from pepeunit_gateway.firmware.mirrors import Credentials
from pepeunit_gateway.registry.entities import CredentialStatus

__all__ = ["CredentialSlot", "read_slots", "valid_first", "with_slot", "with_status", "write_slots"]


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


def with_status(
    slots: dict[UUID, CredentialSlot], credentials: Credentials, status: CredentialStatus
) -> dict[UUID, CredentialSlot]:
    """Return the slots after these credentials were tried."""
    return {
        user: replace(slot, status=status) if slot.credentials == credentials else slot for user, slot in slots.items()
    }


def valid_first(slots: dict[UUID, CredentialSlot]) -> Credentials | None:
    """Return what a job should use: valid credentials, else ones not tried yet, else those that failed last time."""
    rank = {CredentialStatus.VALID: 0, CredentialStatus.NOT_VERIFIED: 1, CredentialStatus.ERROR: 2}
    ordered = sorted(slots.values(), key=lambda slot: rank[slot.status])
    return ordered[0].credentials if ordered else None
