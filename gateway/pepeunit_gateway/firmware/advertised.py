"""What a git server announces before anything is fetched: branches and tags in the first answer of its HTTP protocol.

Only the plain form is read, protocol version 0 with SHA-1 names. Whatever is odd is refused: git itself is asked then,
and it explains what is wrong. Source: git's documents `gitprotocol-common`, `gitprotocol-pack` and `gitprotocol-http`.
"""

import re
from collections.abc import Iterator

from pepeunit_gateway.firmware.refs import Refs, parse_show_ref

__all__ = ["AdvertisementError", "parse_http", "parse_list"]

_SERVICE = b"# service=git-upload-pack"
_LENGTH = re.compile(rb"[0-9a-fA-F]{4}")
_HEADER = 4
_MAX_PACKET = 65_520
_LINE = re.compile(rb"([0-9a-f]{40}) ([^\x00-\x20\x7f^]+(?:\^\{\})?)")
_NOTHING = b"0" * 40
_NO_REFS = b"capabilities^{}"
_PEELED = b"^{}"
_SHOWN = (b"refs/heads/", b"refs/tags/")


class AdvertisementError(Exception):
    """Not the plain form; the text says what was met."""


def parse_http(body: bytes) -> Refs:
    """Read the whole answer to `GET <repository>/info/refs?service=git-upload-pack`.

    Raises:
        AdvertisementError: anything but a complete list of version 0 with SHA-1 names.
    """
    packets = _packets(body)
    if next(packets, None) != _SERVICE or next(packets, b"") is not None:
        raise AdvertisementError("it does not begin with the name of the service")
    return _read(packets)


def parse_list(data: bytes) -> Refs:
    """Read what `git upload-pack --http-backend-info-refs` prints: the same without the name of the service.

    Raises:
        AdvertisementError: see `parse_http`.
    """
    return _read(_packets(data))


def _packets(data: bytes) -> Iterator[bytes | None]:
    """Yield each packet without its length and its line feed, None for a flush packet."""
    at = 0
    while at < len(data):
        length = data[at : at + _HEADER]
        if not _LENGTH.fullmatch(length):
            raise AdvertisementError("a packet has no length")
        size = int(length, 16)
        if size == 0:
            at += _HEADER
            yield None
            continue
        if not _HEADER < size <= _MAX_PACKET or at + size > len(data):
            raise AdvertisementError(f"a packet of {size} bytes is cut off or out of bounds")
        yield data[at + _HEADER : at + size].removesuffix(b"\n")
        at += size


def _read(packets: Iterator[bytes | None]) -> Refs:
    """Read the list up to the flush packet at its end, which must be the end of everything.

    An empty repository announces nothing or, with the object name 0, only what the server can do.
    """
    named: dict[bytes, bytes] = {}
    last = b""
    for number, packet in enumerate(packets):
        if packet is None:
            if next(packets, b"") != b"":
                raise AdvertisementError("it goes on after its end")
            named.pop(_NO_REFS, None)
            return _refs(named)
        match = _LINE.fullmatch(_without_capabilities(packet) if number == 0 else packet)
        if match is None:
            raise AdvertisementError("a line is no name of an object and of a ref")
        commit, name = match.groups()
        if name in named or _NO_REFS in named or (commit == _NOTHING) != (name == _NO_REFS and number == 0):
            raise AdvertisementError("a ref comes twice or has no object")
        if name.endswith(_PEELED) and name not in (last + _PEELED, _NO_REFS):
            raise AdvertisementError("what a tag points to does not follow the tag")
        named[name] = commit
        last = name
    raise AdvertisementError("the list has no end")


def _without_capabilities(packet: bytes) -> bytes:
    line, separator, capabilities = packet.partition(b"\0")
    words = capabilities.split(b" ")
    formats = [word for word in words if word.startswith(b"object-format=")]
    if not separator or formats not in ([], [b"object-format=sha1"]):
        raise AdvertisementError("the first line tells no capabilities or another object format")
    return line


def _refs(named: dict[bytes, bytes]) -> Refs:
    """Keep what a mirror keeps, by the very rules by which it is read from the mirror after a fetch."""
    return parse_show_ref(b"\n".join(b"%s %s" % (named[name], name) for name in named if name.startswith(_SHOWN)))
