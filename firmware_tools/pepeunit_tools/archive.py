"""A unit's archive: checked against its digest, unpacked into a folder that was empty, or not at all.

The gateway makes plain tars of regular files and folders, so everything else is refused: links, devices, absolute
names, `..`. Source: protocol/firmware.md 7.6, decisions.md 13.
"""

import base64
import binascii
import hashlib
import io
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pepeunit_tools.client import Download
from pepeunit_tools.errors import DownloadError

__all__ = ["WINDOW_BITS", "inflate", "require_empty", "unpack", "verify"]

WINDOW_BITS = 15
"""The `wbits` to ask for: a zlib stream with the usual window."""

_MAX_SIZE = 256 * 1024 * 1024
_ENV_FILE = "env.json"
_OWNER_EXECUTES = 0o100


def verify(download: Download) -> bytes:
    """Return the content, which has the SHA-256 that the gateway gave (RFC 9530).

    Raises:
        DownloadError: it was altered on its way, or the gateway gave no SHA-256.
    """
    for part in download.repr_digest.split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "sha-256" and value.startswith(":") and value.endswith(":"):
            try:
                expected = base64.b64decode(value[1:-1], validate=True)
            except binascii.Error:
                break
            if hashlib.sha256(download.content).digest() == expected:
                return download.content
            raise DownloadError("the archive was altered on its way (its SHA-256 is wrong); download it again")
    raise DownloadError("the gateway gave no SHA-256 in the header Repr-Digest; what cannot be checked is not unpacked")


def inflate(content: bytes) -> bytes:
    """Return the tar in a zlib stream.

    Raises:
        DownloadError: it is damaged, cut, or holds more than 256 MiB.
    """
    inflater = zlib.decompressobj(WINDOW_BITS)
    try:
        tar = inflater.decompress(content, _MAX_SIZE)
    except zlib.error:
        raise DownloadError("the archive is damaged: it is no zlib stream") from None
    if inflater.unconsumed_tail:
        raise DownloadError(f"the archive holds more than {_MAX_SIZE} bytes; it was not unpacked")
    if not inflater.eof or inflater.unused_data:
        raise DownloadError("the archive is damaged: its zlib stream does not end where it should")
    return tar


def require_empty(folder: Path) -> None:
    """Refuse a folder in which something lies already.

    Raises:
        DownloadError: it is not empty, or no folder.
    """
    if folder.is_dir():
        if any(folder.iterdir()):
            raise DownloadError(f"{folder} is not empty; name another folder or empty it")
    elif folder.exists() or folder.is_symlink():
        raise DownloadError(f"{folder} is no folder; name another one")


def unpack(tar: bytes, folder: Path) -> None:
    """Unpack into `folder`, which is made if missing; env.json gets mode 0600, it holds the unit's token.

    Everything is written beside first and then moved, so that a failure leaves the folder as it was.

    Raises:
        DownloadError: something in the tar is not certainly right.
        OSError: the disk refuses.
    """
    require_empty(folder)
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
            members = archive.getmembers()
            _check(members)
            made = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            try:
                _place(archive, members, folder)
            except (OSError, tarfile.TarError):
                if made:
                    shutil.rmtree(folder, ignore_errors=True)
                raise
    except tarfile.TarError as error:
        raise DownloadError(f"the archive is damaged: {error}") from None


def _check(members: Sequence[tarfile.TarInfo]) -> None:
    if not members:
        raise DownloadError("the archive is empty")
    for member in members:
        path = PurePosixPath(member.name)
        is_plain = member.isdir() or (member.isreg() and not member.issparse())
        if path.is_absolute() or ".." in path.parts or not is_plain:
            raise DownloadError(f"the archive holds {member.name!r}, which is no plain file; it was not unpacked")


def _place(archive: tarfile.TarFile, members: Sequence[tarfile.TarInfo], folder: Path) -> None:
    staging = Path(tempfile.mkdtemp(prefix=".pepeunit-", dir=folder))  # mode 0700
    try:
        for member in members:
            _write(archive, member, staging)
        for path in sorted(staging.iterdir()):
            path.rename(folder / path.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, staging: Path) -> None:
    target = staging / member.name
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(member)
    with content or io.BytesIO() as source, target.open("xb") as file:
        shutil.copyfileobj(source, file)
    if PurePosixPath(member.name) == PurePosixPath(_ENV_FILE):
        target.chmod(0o600)
    elif member.mode & _OWNER_EXECUTES:
        target.chmod(0o755)
