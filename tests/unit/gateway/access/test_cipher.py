"""The text form of the cipher."""

import base64

import pytest

from pepeunit_gateway.access.cipher import Cipher
from pepeunit_gateway.errors import CipherError

KEY = base64.b64encode(bytes(range(32))).decode()


def test_the_protocols_vector():
    sealed = Cipher(KEY, max_length=100).encrypt("hello", nonce=bytes(range(12)))
    assert sealed == "AAECAwQFBgcICQoL.L2e6d6onl/81O4oEbSgjbc2dBXu7"


def test_every_text_comes_back_and_no_two_seals_are_alike():
    cipher = Cipher(KEY, max_length=100)
    for text in ("", "x", "Ω unit", "a" * 100):
        assert cipher.decrypt(cipher.encrypt(text)) == text
    assert cipher.encrypt("x") != cipher.encrypt("x")


def test_a_text_over_the_limit_is_refused():
    with pytest.raises(CipherError, match="more than 3"):
        Cipher(KEY, max_length=3).encrypt("four")


@pytest.mark.parametrize("text", ["", ".", "AAAA", "AAECAwQFBgcICQoL.L2e6d6onl/81O4oEbSgjbc2dBXu8", "%.%", "a.b.c"])
def test_damaged_texts_are_refused(text):
    with pytest.raises(CipherError):
        Cipher(KEY, max_length=100).decrypt(text)


@pytest.mark.parametrize("key", ["", "x", base64.b64encode(b"short").decode()])
def test_a_key_of_the_wrong_size_is_refused(key):
    with pytest.raises(CipherError, match="PU_ENCRYPT_KEY"):
        Cipher(key, max_length=100)
