import base64

import pytest

from pepeunit.cipher import Cipher
from pepeunit.env import Env
from pepeunit.errors import CipherError

VECTOR = "AAECAwQFBgcICQoL.L2e6d6onl/81O4oEbSgjbc2dBXu7"


def cipher(key=bytes(range(32))):
    values = Env({"PU_ENCRYPT_KEY": base64.b64encode(key).decode()})
    return Cipher(lambda: values)


def test_the_vector_of_the_protocol_is_met_both_ways():
    assert cipher().encrypt("hello", nonce=bytes(range(12))) == VECTOR
    assert cipher().decrypt(VECTOR) == "hello"


@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("text", ["", "x", "кот" * 100])
def test_what_was_encrypted_is_decrypted_and_never_looks_the_same(size, text):
    box = cipher(bytes(size))
    assert box.decrypt(box.encrypt(text)) == text
    assert box.encrypt(text) != box.encrypt(text)


@pytest.mark.parametrize(
    "text", ["", "a", "a.b.c", "!.!", "AAEC.AAEC", VECTOR[:-2] + "8=", VECTOR.replace("L2e6", "L2e7")]
)
def test_an_altered_text_is_refused(text):
    with pytest.raises(CipherError):
        cipher().decrypt(text)


def test_another_key_is_refused_and_a_wrong_key_named():
    with pytest.raises(CipherError, match="another key"):
        cipher(bytes(32)).decrypt(VECTOR)
    with pytest.raises(CipherError, match="PU_ENCRYPT_KEY"):
        cipher(bytes(5)).encrypt("x")
