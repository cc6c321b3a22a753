"""unit.cipher: AES-GCM texts `base64(nonce).base64(ciphertext and tag)`. Source: protocol/device.md 3."""

import binascii
import os

from pepeunit.errors import CipherError

_TAG = 16
_NONCE = 12
_REDUCE = 0xE1 << 120


class Cipher:
    """Encrypts and decrypts texts with PU_ENCRYPT_KEY; env is a function that gives the Env in force."""

    def __init__(self, env):
        self._env = env

    def encrypt(self, text):
        nonce = os.urandom(_NONCE)
        return _base64(nonce) + "." + _base64(seal(self._key(), nonce, text.encode()))

    def decrypt(self, text):
        """The text; CipherError if it was not made with this key."""
        try:
            nonce, sealed = [binascii.a2b_base64(part) for part in text.split(".")]
        except ValueError:
            raise CipherError("this is no encrypted text: it must be base64.base64")
        try:
            return str(unseal(self._key(), nonce, sealed), "utf-8")
        except UnicodeError:
            raise CipherError("the encrypted bytes are no text")

    def _key(self):
        try:
            key = binascii.a2b_base64(self._env().text("PU_ENCRYPT_KEY"))
        except ValueError:
            key = b""
        if len(key) not in (16, 32):  # cryptolib knows no others; the platform makes keys of 32
            raise CipherError("PU_ENCRYPT_KEY in env.json is not base64 of 16 or 32 bytes, as boards need")
        return key


def seal(key, nonce, data):
    """The ciphertext with its tag."""
    block, multiplier = _start(key)
    done = _count(block, nonce, data)
    return done + _tag(block, multiplier, nonce, done)


def unseal(key, nonce, sealed):
    """The plain bytes; CipherError if the tag is wrong."""
    if len(nonce) != _NONCE or len(sealed) < _TAG:
        raise CipherError("this is no encrypted text: it is too short")
    block, multiplier = _start(key)
    data = sealed[:-_TAG]
    difference = 0
    expected = _tag(block, multiplier, nonce, data)
    for index in range(_TAG):
        difference |= expected[index] ^ sealed[len(data) + index]
    if difference:
        raise CipherError("the text was not encrypted with this key, or it was changed")
    return _count(block, nonce, data)


def _start(key):
    import cryptolib  # only the cipher needs it

    block = cryptolib.aes(key, 1).encrypt
    return block, int.from_bytes(block(bytes(16)), "big")


def _count(block, nonce, data):
    out = bytearray(len(data))
    for start in range(0, len(data), 16):
        mask = block(nonce + (start // 16 + 2).to_bytes(4, "big"))
        for index in range(start, min(start + 16, len(data))):
            out[index] = data[index] ^ mask[index - start]
    return bytes(out)


def _tag(block, multiplier, nonce, data):
    value = 0
    for start in range(0, len(data), 16):
        piece = data[start : start + 16]
        value = _multiply(value ^ int.from_bytes(piece + bytes(16 - len(piece)), "big"), multiplier)
    value = _multiply(value ^ len(data) * 8, multiplier)
    mask = int.from_bytes(block(nonce + b"\0\0\0\1"), "big")
    return (value ^ mask).to_bytes(16, "big")


def _multiply(left, right):
    """The product in GF(2^128), the first bit being the highest."""
    found = 0
    for bit in range(127, -1, -1):
        if left >> bit & 1:
            found ^= right
        right = right >> 1 ^ (_REDUCE if right & 1 else 0)
    return found


def _base64(data):
    return str(binascii.b2a_base64(data), "utf-8").strip()
