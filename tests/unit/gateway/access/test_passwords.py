"""Password hashes: argon2id, the contract's PBKDF2, and the same work whatever the account."""

import base64
import hashlib

import pytest

from pepeunit_gateway.access import passwords
from pepeunit_gateway.access.passwords import StoredPassword, Verdict, hash_password, verify_password

pytestmark = pytest.mark.usefixtures("real_passwords")

PASSWORD = "correct-horse"
STATIC = "salt-of-an-older-installation"
DYNAMIC = base64.b64encode(bytes(range(16))).decode()
RIGHT, WRONG = Verdict(right=True), Verdict(right=False)


def contract_hash(password: str, dynamic: str = DYNAMIC, static: str = STATIC) -> StoredPassword:
    """What protocol/security.md 3.3 says, written down once more."""
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), (dynamic + static).encode(), 100_000, 32)
    return StoredPassword(base64.b64encode(digest).decode(), dynamic)


MODERN = StoredPassword(hash_password(PASSWORD))
OLD = contract_hash(PASSWORD)


def test_the_right_password_passes_and_others_do_not():
    assert MODERN.hashed.startswith("$argon2id$")
    assert verify_password(PASSWORD, MODERN, static_salt="") == RIGHT
    assert verify_password(PASSWORD[:-1], MODERN, static_salt="") == WRONG


def test_a_password_of_the_contract_passes_and_is_to_be_hashed_anew():
    assert verify_password(PASSWORD, OLD, static_salt=STATIC) == Verdict(right=True, outdated=True)
    assert verify_password(PASSWORD[:-1], OLD, static_salt=STATIC) == WRONG


def test_a_password_of_the_contract_is_wrong_without_its_static_salt():
    for salt in ("", "another"):
        assert verify_password(PASSWORD, OLD, static_salt=salt) == WRONG


def test_a_hash_with_weaker_parameters_is_to_be_made_anew():
    weak = passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    assert verify_password(PASSWORD, StoredPassword(weak), static_salt="") == Verdict(right=True, outdated=True)
    assert verify_password("wrong", StoredPassword(weak), static_salt="") == WRONG


@pytest.mark.parametrize(
    "stored", [None, StoredPassword("not a hash"), StoredPassword("$argon2id$broken"), StoredPassword("")]
)
@pytest.mark.parametrize("static_salt", ["", STATIC])
def test_an_unknown_user_and_a_damaged_hash_never_pass(stored, static_salt):
    assert verify_password("anything", stored, static_salt=static_salt) == WRONG


def test_the_made_up_hash_costs_what_a_real_one_does():
    assert not passwords._HASHER.check_needs_rehash(passwords._NOBODY)


def test_the_text_of_a_stored_password_shows_nothing():
    assert OLD.hashed not in repr(OLD)
    assert DYNAMIC not in repr(OLD)


@pytest.mark.parametrize(("static_salt", "pbkdf2"), [("", 0), (STATIC, 1)])
@pytest.mark.parametrize(
    "stored", [None, MODERN, OLD, StoredPassword("damaged")], ids=["unknown", "argon2", "old", "damaged"]
)
def test_w14_every_attempt_does_the_same_hashing(monkeypatch, stored, static_salt, pbkdf2):
    counted = {"argon2": 0, "pbkdf2": 0}
    real_verify, real_pbkdf2 = passwords.PasswordHasher.verify, hashlib.pbkdf2_hmac

    def verify(self, hashed, password):
        counted["argon2"] += hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
        return real_verify(self, hashed, password)

    def pbkdf2_hmac(name, password, salt, iterations, length):
        counted["pbkdf2"] += (name, iterations, length) == ("sha256", 100_000, 32)
        return real_pbkdf2(name, password, salt, iterations, length)

    monkeypatch.setattr(passwords.PasswordHasher, "verify", verify)
    monkeypatch.setattr(hashlib, "pbkdf2_hmac", pbkdf2_hmac)
    verify_password("wrong-password", stored, static_salt=static_salt)
    assert counted == {"argon2": 1, "pbkdf2": pbkdf2}
