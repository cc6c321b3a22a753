"""Which repository URLs may be registered, decided without asking the network.

Source: protocol/validation.md 10 (`http://` or `https://`, ends in `.git`), decisions.md 24 (private networks, `file://`).
"""

import os
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.firmware.addresses import is_public
from pepeunit_gateway.firmware.folders import find_entries

__all__ = ["RepositoryUrl", "check_url", "normal_url", "parse_url", "server_of"]

_MAX_LENGTH = 2_048
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?!-)[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\]")
_PATH = re.compile(r"[!$%&'()*+,./:;=@~A-Za-z0-9_-]+")
_ESCAPE = re.compile(r"%(?:[0-9A-Fa-f]{2})?")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_OWNER_AND_NAME = 2


@dataclass(frozen=True, slots=True)
class RepositoryUrl:
    """A URL taken apart: `host` is without brackets and empty for `file`; `path` is unquoted for `file` only."""

    text: str
    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """Scheme, host and port as git's `http.<url>.*` settings match them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/"


def parse_url(url: str) -> RepositoryUrl:
    """Take a repository URL apart.

    Raises:
        RepositoryRegistryError: not a URL we could clone; the message says what to write instead and never repeats the
            URL, since it may hold a password.
    """
    if len(url) > _MAX_LENGTH or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise RepositoryRegistryError(
            f"The repository URL must be at most {_MAX_LENGTH} ASCII characters without spaces or backslashes; "
            "write other characters percent-encoded, a host in its xn-- form"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RepositoryRegistryError("The repository URL is malformed; copy the HTTPS clone URL") from error
    if parts.scheme not in {"http", "https", "file"}:
        raise RepositoryRegistryError("The repository URL must start with https:// (SSH and git:// are not supported)")
    if "@" in parts.netloc:
        raise RepositoryRegistryError(
            "The repository URL must not hold a user or password; give them in the field credentials"
        )
    if parts.query or parts.fragment or "?" in url or "#" in url or not parts.path.endswith(".git"):
        raise RepositoryRegistryError("The repository URL must end in .git, like https://host/owner/name.git")
    if not _PATH.fullmatch(parts.path):
        raise RepositoryRegistryError("The repository URL's path holds characters that must be percent-encoded")
    if parts.scheme == "file":
        return _file_url(url, parts.netloc, parts.path)
    if not _HOST.fullmatch(_without_port(parts.netloc)) or port == 0:
        raise RepositoryRegistryError("The repository URL names no valid host; copy the HTTPS clone URL")
    host = parts.hostname or ""
    return RepositoryUrl(url, parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], parts.path)


def normal_url(url: str) -> str:
    """Return the one spelling under which a repository is registered, whichever of many was typed (W13).

    Scheme and host are in lower case, an address is in its usual form; there is no default port, no dot at the end of
    the host, and in the path nothing empty, no `.` or `..` and no needless escape (RFC 3986, 6.2.2).

    Raises:
        RepositoryRegistryError: as `parse_url`.
    """
    parsed = parse_url(url)
    path = _normal_path(urlsplit(url).path)
    if parsed.scheme == "file":
        return f"file://{path}"
    host = _normal_host(parsed.host)
    port = "" if parsed.port == _DEFAULT_PORTS[parsed.scheme] else f":{parsed.port}"
    return f"{parsed.scheme}://{f'[{host}]' if ':' in host else host}{port}{path}"


def server_of(url: str) -> str:
    """Return which server a registered URL leads to, however its host and port are written; empty for file://.

    What is no URL that may be registered any more is a server of its own.
    """
    try:
        parsed = parse_url(url)
    except RepositoryRegistryError:
        return url
    if parsed.scheme == "file":
        return ""
    return f"{_normal_host(parsed.host)}:{parsed.port}"


def check_url(url: str, *, platform: str, allow_private: bool, allow_file: Sequence[Path]) -> None:
    """Refuse a URL that must not be registered.

    Args:
        url: as typed.
        platform: GitPlatform; `Github` needs exactly owner and name, `Gitlab` at least group and name.
        allow_private: PU_GIT_ALLOW_PRIVATE.
        allow_file: PU_GIT_ALLOW_FILE; file:// repositories must lie below one of these folders.

    Names are not resolved here: MirrorCache.sync does so just before it connects.

    Raises:
        RepositoryRegistryError: with what to do.
    """
    parsed = parse_url(url)
    if parsed.scheme == "file":
        check_file(parsed, allow_file)
        if platform != "Git":
            raise RepositoryRegistryError("A file:// repository has no platform API; register it with platform Git")
        return
    if parsed.scheme == "http" and not allow_private:
        raise RepositoryRegistryError(
            "The repository URL must start with https://; for http:// the operator sets PU_GIT_ALLOW_PRIVATE=true"
        )
    address = literal_address(parsed.host)
    private = not is_public(address) if address else parsed.host == "localhost" or parsed.host.endswith(".localhost")
    if private and not allow_private:
        raise RepositoryRegistryError(
            "The repository URL leads to a private or loopback address; "
            "if that is meant, the operator sets PU_GIT_ALLOW_PRIVATE=true"
        )
    segments = [segment for segment in parsed.path.split("/") if segment]
    if platform == "Github" and len(segments) != _OWNER_AND_NAME:
        raise RepositoryRegistryError("A Github URL has the form https://host/owner/name.git")
    if platform == "Gitlab" and len(segments) < _OWNER_AND_NAME:
        raise RepositoryRegistryError("A Gitlab URL has the form https://host/group/name.git")


def check_file(parsed: RepositoryUrl, allow_file: Sequence[Path]) -> None:
    """Refuse a file:// repository outside the allowed folders, or one that borrows from outside; links are followed.

    We read it with the rights of the gateway, which may read more than whoever wrote it. Blocking: all of it is seen.

    Raises:
        RepositoryRegistryError: with the setting to change, or what is to be removed.
    """
    allowed = [folder.resolve() for folder in allow_file]
    place = Path(parsed.path).resolve()
    if not _is_below(place, allowed):
        raise RepositoryRegistryError(
            "file:// repositories must lie below a folder that the operator names in PU_GIT_ALLOW_FILE"
        )
    borrowed = next(_borrowed(place, allowed), None)
    if borrowed is not None:
        raise RepositoryRegistryError(
            f"The repository {parsed.path} borrows from outside the folders of PU_GIT_ALLOW_FILE, by its {borrowed}; "
            "make a whole copy of it: git clone --bare --dissociate"
        )


def _is_below(place: Path, allowed: Sequence[Path]) -> bool:
    return any(place.is_relative_to(folder) for folder in allowed)


def _borrowed(place: Path, allowed: Sequence[Path]) -> Iterator[str]:
    """Yield what leads elsewhere: links, other object stores, and a `.git` or a common folder that is a file."""
    inner = place / ".git"  # which git looks at first
    if inner.is_symlink() or inner.is_file():
        yield inner.name
    root = inner if inner.is_dir() else place
    if (root / "commondir").exists():
        yield "commondir"
    stores = [root / "objects"]
    for store in stores:  # which grows: a store may borrow from others
        named = _named_stores(store)
        if not all(_is_below(other, allowed) for other in named):
            yield "objects/info/alternates"
        stores += [other for other in named if other not in stores]
    for folder in (root, *stores):
        for entry in find_entries(folder):
            if entry.is_symlink() and not _is_below(Path(entry.path).resolve(), allowed):
                yield entry.name


def _named_stores(store: Path) -> list[Path]:
    """Return the object stores from which one borrows."""
    alternates = store / "info" / "alternates"
    lines = alternates.read_bytes().splitlines() if alternates.is_file() and not alternates.is_symlink() else []
    named = [os.fsdecode(line.strip(b'"')) for line in lines if line and not line.startswith(b"#")]
    return [(store / other).resolve() for other in named]


def literal_address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that `host` spells, odd forms such as `127.1` or `2130706433` included; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _normal_host(host: str) -> str:
    name = host.rstrip(".") or host
    address = literal_address(name)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address or name)


def _normal_path(path: str) -> str:
    segments: list[str] = []
    for segment in _ESCAPE.sub(_normal_escape, path).split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(segment)
    return "/" + "/".join(segments)


def _normal_escape(found: re.Match[str]) -> str:
    if found[0] == "%":  # of no escape
        return "%25"
    plain = unquote(found[0], "latin-1")
    return plain if _UNRESERVED.fullmatch(plain) else found[0].upper()


def _file_url(url: str, netloc: str, path: str) -> RepositoryUrl:
    if netloc or "%00" in path:
        raise RepositoryRegistryError("A file:// URL has three slashes and an absolute path: file:///srv/git/name.git")
    return RepositoryUrl(url, "file", "", 0, unquote(path))


def _without_port(netloc: str) -> str:
    if netloc.endswith("]"):
        return netloc
    host, colon, _port = netloc.rpartition(":")
    return host if colon else netloc
