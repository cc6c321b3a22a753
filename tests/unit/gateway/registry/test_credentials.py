"""Credential slots: the stored form, and which one a job uses (W20)."""

import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pepeunit_gateway.access.cipher import Cipher
from pepeunit_gateway.firmware.mirrors import Credentials
from pepeunit_gateway.registry.credentials import (
    CredentialSlot,
    candidates,
    holders,
    read_slots,
    with_slot,
    with_status,
    write_slots,
)
from pepeunit_gateway.registry.entities import CredentialStatus

CIPHER = Cipher(base64.b64encode(bytes(32)).decode(), max_length=10_000)
ALICE, BOB = UUID(int=1), UUID(int=2)
DAY = datetime(2024, 5, 1, tzinfo=UTC)
FIRST, SECOND = Credentials("alice", "token-a"), Credentials("bob", "token-b")


def test_the_stored_form_is_the_protocols():
    text = write_slots(CIPHER, {ALICE: CredentialSlot(FIRST, CredentialStatus.VALID)})
    assert json.loads(CIPHER.decrypt(text)) == {
        str(ALICE): {"credentials": {"username": "alice", "pat_token": "token-a"}, "status": "Valid"}
    }
    assert read_slots(CIPHER, text) == {ALICE: CredentialSlot(FIRST, CredentialStatus.VALID)}


def test_an_empty_column_has_no_slots():
    assert read_slots(CIPHER, None) == {}
    assert write_slots(CIPHER, {}) is None


def test_new_credentials_are_not_verified_and_leave_other_users_alone():
    slots = with_slot({BOB: CredentialSlot(SECOND, CredentialStatus.VALID)}, ALICE, FIRST)
    assert {user: slot.status for user, slot in slots.items()} == {ALICE: "NotVerified", BOB: "Valid"}


def test_a_job_takes_what_worked_then_what_failed_then_what_is_new():
    """W20. New credentials push nobody's aside: a stranger's garbage is tried last."""
    slots = with_slot(with_slot({}, ALICE, FIRST), BOB, SECOND)
    assert candidates(slots, DAY) == [FIRST, SECOND]
    slots = with_status(slots, SECOND, CredentialStatus.VALID, slots)
    assert candidates(slots, DAY) == [SECOND, FIRST]
    slots = with_status(slots, SECOND, CredentialStatus.ERROR, slots)
    assert candidates(slots, DAY) == [SECOND, FIRST]
    slots = with_status(slots, FIRST, CredentialStatus.ERROR, slots)
    assert set(candidates(slots, DAY)) == {FIRST, SECOND}
    assert candidates({}, DAY) == []


def test_a_job_never_tries_more_than_four():
    slots = {}
    for number in range(9):
        slots = with_slot(slots, UUID(int=number), Credentials("user", f"token-{number}"))
    assert len(candidates(slots, DAY)) == 4


def test_only_the_slots_that_hold_what_was_tried_learn_from_it():
    slots = with_slot(with_slot(with_slot({}, ALICE, FIRST), BOB, SECOND), UUID(int=3), FIRST)
    marked = with_status(slots, FIRST, CredentialStatus.VALID, slots)
    assert [slot.status.value for slot in marked.values()] == ["Valid", "NotVerified", "Valid"]


def test_of_those_who_hold_the_same_only_the_named_learn_from_it():
    slots = with_slot(with_slot(with_slot({}, ALICE, FIRST), BOB, FIRST), UUID(int=3), SECOND)
    assert holders(slots, FIRST) == {ALICE, BOB}
    marked = with_status(slots, FIRST, CredentialStatus.VALID, [ALICE, UUID(int=3)])
    assert [slot.status.value for slot in marked.values()] == ["Valid", "NotVerified", "NotVerified"]


def test_a_token_shows_in_no_repr():
    assert "token-a" not in repr(with_slot({}, ALICE, FIRST))


def test_of_several_that_worked_each_comes_first_on_some_day():
    """A second user's credentials that were withdrawn are found out, though the first user's still work."""
    slots = with_status(with_slot(with_slot({}, ALICE, FIRST), BOB, SECOND), FIRST, CredentialStatus.VALID, [ALICE])
    assert {candidates(slots, DAY + timedelta(days=n))[0] for n in range(2)} == {FIRST}
    slots = with_status(slots, SECOND, CredentialStatus.VALID, slots)
    first = [candidates(slots, DAY + timedelta(days=n))[0] for n in range(4)]
    assert {*first[:2]} == {FIRST, SECOND}
    assert first[:2] == first[2:]
    assert candidates(slots, DAY) == candidates(slots, DAY + timedelta(hours=5))
