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
            return ssl.create_default_context(cadata=ca_cert)
        return ssl.create_default_context(cafile=ca_cert or None)
    except (OSError, ValueError):
        raise EnvError("PU_CA_CERT in env.json is neither a PEM certificate nor a file of them") from None
