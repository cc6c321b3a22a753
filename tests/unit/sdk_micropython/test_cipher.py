"""cipher.py in the real MicroPython, against the test vector of protocol/device.md 3 and the cryptography package."""

import base64
import json
import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.support.micropython import run_script

HEAD = """
import binascii, json
import pepeunit.cipher as cipher
from pepeunit.env import Env
from pepeunit import CipherError
"""


def test_the_test_vector_of_the_protocol(tmp_path):
    run_script(
        HEAD
        + """
key, nonce = bytes(range(32)), bytes(range(12))
text = cipher._base64(nonce) + "." + cipher._base64(cipher.seal(key, nonce, b"hello"))
assert text == "AAECAwQFBgcICQoL.L2e6d6onl/81O4oEbSgjbc2dBXu7"
box = cipher.Cipher(lambda: Env({"PU_ENCRYPT_KEY": cipher._base64(key)}))
assert box.decrypt(text) == "hello"
""",
        tmp_path,
    )


@pytest.mark.parametrize("size", [16, 32])
def test_texts_of_any_length_are_read_by_the_other_side_both_ways(tmp_path, size):
    key = os.urandom(size)
    encoded = base64.b64encode(key).decode()
    texts = ["", "a", "ä" * 8, "x" * 15, "y" * 16, "z" * 17, "long " * 40]
    theirs = []
    for text in texts:
        nonce = os.urandom(12)
        sealed = AESGCM(key).encrypt(nonce, text.encode(), None)
        theirs.append(base64.b64encode(nonce).decode() + "." + base64.b64encode(sealed).decode())
    (tmp_path / "cases.json").write_text(json.dumps([texts, theirs]))
    out = run_script(
        HEAD
        + f"""
texts, theirs = json.load(open("cases.json"))
box = cipher.Cipher(lambda: Env({{"PU_ENCRYPT_KEY": {encoded!r}}}))
assert [box.decrypt(text) for text in theirs] == texts
print(json.dumps([box.encrypt(text) for text in texts]))
""",
        tmp_path,
    )
    for text, mine in zip(texts, json.loads(out), strict=True):
        nonce, sealed = (base64.b64decode(part) for part in mine.split("."))
        assert AESGCM(key).decrypt(nonce, sealed, None).decode() == text


def test_what_was_changed_or_made_with_another_key_is_refused(tmp_path):
    run_script(
        HEAD
        + """
keys = [cipher._base64(bytes([number]) * 32) for number in (1, 2)]
box, other = [cipher.Cipher(lambda key=key: Env({"PU_ENCRYPT_KEY": key})) for key in keys]
nonce, sealed = [binascii.a2b_base64(part) for part in box.encrypt("hello").split(".")]
bad = [other.encrypt("hello"), "", "x", "a.b.c", "AAAA.AAAA", "...."]
bad.append(cipher._base64(nonce) + "." + cipher._base64(sealed[:-1]))
for index in range(len(sealed)):
    flipped = bytearray(sealed)
    flipped[index] ^= 1
    bad.append(cipher._base64(nonce) + "." + cipher._base64(flipped))
for text in bad:
    try:
        box.decrypt(text)
    except CipherError:
        continue
    raise AssertionError(text)
for key in ("", "AAAA", "not base64!", cipher._base64(bytes(24))):
    try:
        cipher.Cipher(lambda: Env({"PU_ENCRYPT_KEY": key})).encrypt("x")
    except CipherError as error:
        assert "PU_ENCRYPT_KEY" in str(error)
    else:
        raise AssertionError(key)
""",
        tmp_path,
    )
