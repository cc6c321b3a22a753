"""Password hashes."""

from pepeunit_gateway.access.passwords import hash_password, verify_password


def test_the_right_password_passes_and_others_do_not():
    stored = hash_password("correct-horse")
    assert stored.startswith("$argon2id$")
    assert verify_password("correct-horse", stored)
    assert not verify_password("correct-hors", stored)


def test_an_unknown_user_never_passes():
    assert not verify_password("anything", None)


def test_a_damaged_hash_never_passes():
    assert not verify_password("anything", "not a hash")
