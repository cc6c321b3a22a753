"""Verified TLS for MQTT and REST alike. Source: decisions.md 9."""

import ssl

from .errors import EnvError

__all__ = ["tls_context"]


def tls_context(ca_cert: str) -> ssl.SSLContext:
    """A context that verifies the server's name and chain.

    `ca_cert` is the value of PU_CA_CERT: certificates as PEM, the path of a file of them, or empty for the system's.
    Raises EnvError if it is none of these.
    """
    try:
        if "-----BEGIN" in ca_cert:
            context = ssl.create_default_context(cadata=ca_cert)
        else:
            context = ssl.create_default_context(cafile=ca_cert or None)
    except (OSError, ValueError):
        raise EnvError("PU_CA_CERT in env.json is neither a PEM certificate nor a file of them") from None
    context.sslsocket_class = _Socket
    return context


class _Socket(ssl.SSLSocket):
    """Closes itself when the handshake fails; paho would leave it open until somebody collects the garbage."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  # the signature of the base
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise
