"""The certificate of HTTPS, read from PU_TLS_CERT and PU_TLS_KEY and read again when the files change.

A renewal needs no restart: `ServerCertificate.renew` looks at the files, and what it has read serves the connections
that come afterwards. Files that cannot be used, perhaps because only one of the two is new yet, are told once and the
certificate that works is kept.
"""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from cryptography import x509

from pepeunit_gateway.errors import StartError

__all__ = ["ServerCertificate"]

_SOON = timedelta(days=14)

log = structlog.get_logger(__name__)

Stamp = tuple[tuple[int, int, int], ...]


class ServerCertificate:
    """Give `context` to a server.

    Args:
        cert: PEM file with the server's certificate first and those that lead to its authority behind it.
        key: PEM file of its private key, without a passphrase.
        now: aware UTC.

    Raises:
        StartError: a file cannot be read, they do not belong together, or the certificate has expired.
    """

    def __init__(self, cert: Path, key: Path, now: datetime) -> None:
        self._files = (cert, key)
        self._seen: Stamp | None = _stamp(self._files)
        self._current, self.expires = _load(cert, key, now)
        self._warn_after = now
        self.context, _ = _load(cert, key, now)
        # called for every handshake, also of clients that name no server
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def renew(self, now: datetime) -> bool:
        """Read the files again if they have changed; tell whether another certificate serves now.

        Says once a day when the certificate is about to expire.
        """
        renewed = self._read(now)
        if self.expires - now < _SOON and now >= self._warn_after:
            self._warn_after = now + timedelta(days=1)
            log.warning("tls.certificate.expires", expires=self.expires.isoformat(), hint="renew PU_TLS_CERT")
        return renewed

    def _read(self, now: datetime) -> bool:
        stamp = _stamp(self._files)
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            self._current, self.expires = _load(*self._files, now)
        except StartError as error:
            log.warning("tls.certificate.kept", reason=error.message, expires=self.expires.isoformat())
            return False
        log.info("tls.certificate.renewed", expires=self.expires.isoformat())
        return True


def _stamp(files: tuple[Path, ...]) -> Stamp | None:
    try:
        found = [path.stat() for path in files]
    except OSError:
        return None
    return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in found)


def _load(cert: Path, key: Path, now: datetime) -> tuple[ssl.SSLContext, datetime]:
    """Return a context that speaks TLS 1.2 and 1.3 with this certificate, and when that expires."""
    expires = _expires(cert, now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        key.open("rb").close()  # OpenSSL does not say why it cannot
        # without a password here OpenSSL would ask for one at the terminal and wait
        context.load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        raise StartError(_key_message(cert, key, error)) from None
    except OSError as error:
        raise StartError(
            f"PU_TLS_KEY: {key} cannot be read: {error.strerror}. Correct the path or its rights."
        ) from None
    return context, expires


def _key_message(cert: Path, key: Path, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"PU_TLS_KEY: {key} is not the key of the certificate in {cert}. Name the two files of one certificate."
    return (
        f"PU_TLS_KEY: {key} holds no private key that can be used. It must be PEM without a passphrase, as made by: "
        "openssl pkey -in OLD_FILE -out NEW_FILE"
    )


def _expires(cert: Path, now: datetime) -> datetime:
    try:
        first = x509.load_pem_x509_certificates(cert.read_bytes())[0]
    except OSError as error:
        raise StartError(
            f"PU_TLS_CERT: {cert} cannot be read: {error.strerror}. Correct the path or its rights."
        ) from None
    except ValueError:
        raise StartError(f"PU_TLS_CERT: {cert} holds no certificate in PEM form (BEGIN CERTIFICATE).") from None
    expires = first.not_valid_after_utc
    if expires <= now:
        raise StartError(f"PU_TLS_CERT: the certificate in {cert} expired on {expires:%Y-%m-%d %H:%M} UTC. Renew it.")
    return expires.astimezone(UTC)
