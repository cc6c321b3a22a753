"""The far side of one sync: URL, credentials, pinned addresses - and what git's complaints about it mean."""

import base64
import re
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import quote

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.firmware.urls import RepositoryUrl

__all__ = [
    "Credentials",
    "FetchError",
    "Reason",
    "Remote",
    "explain_failure",
    "fetch_error",
    "is_damage",
    "is_oversize",
    "is_rot",
]

_MAX_REASON = 300


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a private repository asks for; the token never shows in a repr."""

    username: str
    pat_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Remote:
    """Where to fetch from. `addresses` are what the host was resolved to; empty for file://."""

    url: RepositoryUrl
    credentials: Credentials | None
    addresses: tuple[str, ...]

    @property
    def protocols(self) -> str:
        """The one transport that git may use."""
        return self.url.scheme

    @property
    def authorization(self) -> str | None:
        """The header that carries the credential, for http and https; None without one."""
        if self.credentials is None or self.url.scheme == "file":
            return None
        return f"Basic {_basic(self.credentials)}"

    def config(self) -> tuple[tuple[str, str], ...]:
        """Settings for git's environment: the credential, bound to this origin, and the pinned addresses."""
        pairs: list[tuple[str, str]] = []
        if self.authorization is not None:
            pairs.append((f"http.{self.url.origin}.extraHeader", f"Authorization: {self.authorization}"))
        if self.addresses and self.url.host not in self.addresses:
            pinned = ",".join(f"[{item}]" if ":" in item else item for item in self.addresses)
            pairs.append(("http.curloptResolve", f"{self.url.host}:{self.url.port}:{pinned}"))
        return tuple(pairs)

    def masked(self, text: str) -> str:
        """Return `text` with every form of the credential replaced; a server may echo what it was sent."""
        if self.credentials is None:
            return text
        token = self.credentials.pat_token
        for secret in (_basic(self.credentials), token, quote(token, safe="")):
            if secret:
                text = text.replace(secret, "***")
        return text


class Reason(Enum):
    """What a failed fetch says about the credentials that it was tried with."""

    REFUSED = "the server refuses them"
    ABSENT = "the server has no such repository, or hides it from who may not read it, as GitHub and GitLab do"
    OTHER = "nothing"


class FetchError(RepositoryRegistryError):
    """What git ended with, in words that help."""

    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason


def fetch_error(remote: Remote, stderr: str) -> FetchError:
    """Return the error that git's last lines amount to. Never holds a credential."""
    found = next((pattern for pattern, _ in _EXPLANATIONS if _says(pattern, _own_words(stderr))), "")
    return FetchError(explain_failure(remote, stderr), _REASONS.get(found, Reason.OTHER))


def explain_failure(remote: Remote, stderr: str) -> str:
    """Turn git's last lines into one sentence that says what to do. Never holds a credential."""
    place = f"{remote.url.host}:{remote.url.port}" if remote.url.host else remote.url.path
    own = _own_words(stderr)
    for pattern, message in _EXPLANATIONS:
        if _says(pattern, own):
            return message.format(place=place)
    lines = [line for line in remote.masked(own).splitlines() if line.startswith(("fatal:", "error:"))]
    reason = lines[-1].partition(":")[2].strip()[:_MAX_REASON] if lines else "git gave no reason"
    return f"Fetching from {place} failed: {reason}"


def is_damage(stderr: str) -> bool:
    """Tell whether git complains about the mirror on disk, so that only a fresh one helps."""
    return re.search(_DAMAGE, _own_words(stderr), re.IGNORECASE) is not None


def is_oversize(stderr: str) -> bool:
    """Tell whether git, or what it started, was ended by the limit on the size of a file (signal 25 is SIGXFSZ)."""
    return re.search(r"died of signal 25|File too large", _own_words(stderr)) is not None


def is_rot(stderr: str) -> bool:
    """Tell whether git, while it read an object, found that the mirror does not hold what it held once.

    Narrower than `is_damage`: that there is no commit of some name is no damage, anybody may ask for one.
    """
    return re.search(_ROT, stderr, re.IGNORECASE) is not None


def _says(pattern: str, own: str) -> bool:
    return re.search(pattern, own, re.IGNORECASE) is not None


def _own_words(stderr: str) -> str:
    """Return what git says itself; a server may say anything, and nothing is decided by it."""
    return "\n".join(line for line in stderr.splitlines() if not line.startswith("remote:"))


def _basic(credentials: Credentials) -> str:
    return base64.b64encode(f"{credentials.username}:{credentials.pat_token}".encode()).decode()


_REFUSED = r"could not read Username|Authentication failed|returned error: 40[13]"
_ABSENT = r"returned error: 404|repository .* not found|does not appear to be a git repository|is this a git repository"
_REASONS = {_REFUSED: Reason.REFUSED, _ABSENT: Reason.ABSENT}
_EXPLANATIONS = (
    (
        r"out of memory|[mc]alloc failed|realloc failed|mmap failed|cannot allocate memory",
        "What {place} sends takes too much memory; remove huge files, or the operator raises PU_MAX_EXTERNAL_REPO_SIZE",
    ),
    (
        r"operation too slow",
        "The git server at {place} took the request and then sent nothing for too long; try again later",
    ),
    (
        _REFUSED,
        "The git server at {place} refuses access; if the repository is private, set credentials that may read it",
    ),
    (
        r"unable to update url base from redirection|returned error: 30\d|redirect",
        "The git server at {place} redirects to another address; register the final URL",
    ),
    (
        _ABSENT,
        "There is no git repository at this URL ({place}); check its path",
    ),
    (
        r"Could not resolve host",
        "The host of {place} cannot be resolved; check the repository URL",
    ),
    (
        r"Failed to connect|Couldn't connect|Connection refused|timed out|No route to host|Network is unreachable",
        "The git server at {place} cannot be reached; check that it runs and that this machine may connect to it",
    ),
    (
        r"certificate|SSL|TLS|gnutls",
        "The TLS certificate of {place} was not accepted; the server needs one that this machine trusts",
    ),
    (
        r"returned error: (429|5\d\d)",
        "The git server at {place} answers with an error of its own; try again later",
    ),
    (
        r"mismatched algorithms|object format",
        "The repository at {place} uses SHA-256 object names, which are not supported; use a SHA-1 repository",
    ),
    (
        r"early EOF|unexpected disconnect|hung up|RPC failed|reset by peer|Empty reply|closed|too slow|curl \d+",
        "The connection to {place} broke off before everything had arrived; try again",
    ),
)
_ROT = (
    r"is corrupt|inflate: data stream|loose object|failed to read object|unable to read (tree|sha1 file)|"
    r"packfile .* (cannot be accessed|does not match)|bad (signature|index|pack)|not a git repository: "
)
_DAMAGE = (
    r"not a git repository: |bad object|is corrupt|object file .* is empty|loose object|bad (signature|index|pack)|"
    r"packfile .* (cannot be accessed|does not match)|unable to read (tree|sha1 file)|missing (blob|tree|commit)|"
    r"did not send all necessary objects|unresolved deltas|unable to resolve reference|reference broken"
)
