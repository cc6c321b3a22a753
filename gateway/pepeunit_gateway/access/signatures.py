"""Whether a push notice comes from who knows the secret of its webhook.

GitHub, Gitea and Forgejo sign the body, and whoever else can make an HMAC may do as they do; GitLab sends the secret
itself. What is compared is compared in constant time. Source: decisions.md 12.
"""

import hmac
from dataclasses import dataclass, field

__all__ = ["PushProof", "SignedBody"]

_PREFIX = "sha256="
_PINGS = {"ping"}


@dataclass(frozen=True, slots=True)
class PushProof:
    """What the headers of a notice say: a signature, or else a token, and the event's name; empty where not sent."""

    signature: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    event: str = ""

    @property
    def is_given(self) -> bool:
        return bool(self.signature or self.token)

    @property
    def is_ping(self) -> bool:
        """Tell whether a platform only tries whether its notices arrive."""
        return self.event in _PINGS


class SignedBody:
    """A body that is hashed while it arrives: `add` every piece, then ask."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._mac = hmac.new(self._secret, digestmod="sha256")

    def add(self, piece: bytes) -> None:
        """Hash the next bytes as they came over the wire."""
        self._mac.update(piece)

    def is_proved_by(self, proof: PushProof) -> bool:
        """Tell whether the signature is that of this body, or, where there is none, the token is the secret."""
        if proof.signature:
            return hmac.compare_digest(f"{_PREFIX}{self._mac.hexdigest()}".encode(), _raw(proof.signature))
        return hmac.compare_digest(self._secret, _raw(proof.token))


def _raw(header: str) -> bytes:
    return header.encode("utf-8", "surrogateescape")
