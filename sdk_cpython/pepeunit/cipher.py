"""Encryption of short texts with the unit's own key. Source: protocol/device.md 3.

AES-GCM with a fresh nonce of 12 bytes, no further data; text form `base64(nonce).base64(ciphertext and tag)`. It
hides and protects a text; it knows neither who sent it nor when.
"""

import base64
import binascii
import os
from collections.abc import Callable

from .env import Env
from .errors import CipherError

__all__ = ["Cipher"]

_NONCE_BYTES = 12
_KEY_BYTES = (16, 24, 32)


class Cipher:
    """`encrypt` and `decrypt` with PU_ENCRYPT_KEY of env.json, base64 of 16, 24 or 32 bytes."""

    def __init__(self, env: Callable[[], Env]) -> None:
        self._env = env

    def encrypt(self, text: str, *, nonce: bytes | None = None) -> str:
        """Encrypt a text. Leave `nonce` alone: one used twice gives the key away. Raises CipherError."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # heavy, and most units never encrypt

        nonce = os.urandom(_NONCE_BYTES) if nonce is None else nonce
        sealed = AESGCM(self._key()).encrypt(nonce, text.encode(), None)
        return f"{base64.b64encode(nonce).decode()}.{base64.b64encode(sealed).decode()}"

    def decrypt(self, text: str) -> str:
        """Decrypt what `encrypt` made. Raises CipherError if it was altered or made with another key."""
        from cryptography.exceptions import InvalidTag  # heavy, and most units never encrypt
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            nonce, sealed = (base64.b64decode(part, validate=True) for part in text.split("."))
        except (ValueError, binascii.Error):
            raise CipherError("the text is not of the form base64.base64") from None
        if len(nonce) != _NONCE_BYTES:
            raise CipherError("the text's first part is no nonce of 12 bytes")
        try:
            return AESGCM(self._key()).decrypt(nonce, sealed, None).decode()
        except (InvalidTag, UnicodeDecodeError):
            raise CipherError("the text was altered or encrypted with another key") from None

    def _key(self) -> bytes:
        try:
            key = base64.b64decode(self._env().text("PU_ENCRYPT_KEY"), validate=True)
        except (ValueError, binascii.Error):
            key = b""
        if len(key) not in _KEY_BYTES:
            raise CipherError("PU_ENCRYPT_KEY in env.json is not base64 of 16, 24 or 32 bytes")
        return key
