"""AES-GCM in the text form of the protocol: `base64(nonce).base64(ciphertext with tag)`.

Source: protocol/security.md 3.4, protocol/device.md 3. No additional data, 12-byte nonce, 16-byte tag.
"""

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pepeunit_gateway.errors import CipherError

__all__ = ["Cipher"]

_NONCE_SIZE = 12


class Cipher:
    """Encrypts and decrypts text with one key (base64 of 16, 24 or 32 bytes)."""

    def __init__(self, key: str, *, max_length: int) -> None:
        try:
            self._aead = AESGCM(base64.b64decode(key, validate=True))
        except (binascii.Error, ValueError):
            raise CipherError("PU_ENCRYPT_KEY must be the base64 form of 16, 24 or 32 bytes") from None
        self._max_length = max_length

    def encrypt(self, text: str, *, nonce: bytes | None = None) -> str:
        """Return the text form. `nonce` is for test vectors only.

        Raises:
            CipherError: `text` has more than PU_MAX_CIPHER_LENGTH characters.
        """
        if len(text) > self._max_length:
            raise CipherError(f"the text has more than {self._max_length} characters")
        nonce = nonce or os.urandom(_NONCE_SIZE)
        sealed = self._aead.encrypt(nonce, text.encode(), None)
        return f"{base64.b64encode(nonce).decode()}.{base64.b64encode(sealed).decode()}"

    def decrypt(self, text: str) -> str:
        """Return the clear text.

        Raises:
            CipherError: the text is damaged or was encrypted with another key.
        """
        nonce, _, sealed = text.partition(".")
        try:
            clear = self._aead.decrypt(
                base64.b64decode(nonce, validate=True), base64.b64decode(sealed, validate=True), None
            )
            return clear.decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise CipherError("the stored text cannot be decrypted; was PU_ENCRYPT_KEY changed?") from None
