"""An update: download, check, unpack, and only then the switch. Source: decisions.md 13, protocol/device.md 4.

Nothing outside .pepeunit/ is touched before everything is known to be whole.
"""

import binascii
import gc
import hashlib
import os

import pepeunit.env as env
import pepeunit.files as files
import pepeunit.schema as schema
import pepeunit.switch as switch
from pepeunit.errors import ArchiveError, EnvError, SchemaError, SwitchError

_PATH = "/units/firmware/tgz/{unit}?wbits=9&level=9"
_PIECE = 1024
_SPARE_BLOCKS = 8  # free blocks that must be left for the renames of the switch and new folders


async def stage(rest, base, uuid, current):
    """Bring the unit's target version into .pepeunit/next/ and write the journal.

    The commit that is ready to be switched to, or None if the archive holds the one that is installed (`current`).
    RestError, ArchiveError, SwitchError or OSError: the installed version is untouched.
    """
    home = base + "/" + switch.HOME
    _clean(home)
    try:
        await _download(rest, home + "/download")
        gc.collect()
        from pepeunit.unpack import unpack  # not earlier: compiling both at once is what a small heap has no room for

        names = await unpack(home)
        os.remove(home + "/download")
        commit = _check(home, names, uuid)
        if files.is_file(base + "/main.py") and "main.py" not in names:
            raise ArchiveError("the new version has no main.py, which is what starts here")
        if commit == current:
            _clean(home)
            return None
        old = switch.installed(base)
        foreign = switch.conflict(base, names, switch.stale_files(old["files"], names) if old else [])
        if foreign:
            raise SwitchError("the new version needs the place of %s, which is not ours: remove it" % foreign)
        if os.statvfs(base or "/")[3] < _SPARE_BLOCKS:
            raise SwitchError("no space is left for the update")
        previous = files.read(base + "/env.json")
        if previous is not None:
            files.write(base + "/env.json.prev", previous)
        switch.begin(base, commit, names)
        return commit
    except BaseException:
        _clean(home)
        raise
    finally:
        gc.collect()


def _clean(home):
    if files.is_file(home + "/switch.json"):
        return
    for name in ("download", "installed.new"):
        files.remove(home + "/" + name)
    files.remove_folder(home + "/next")


async def _download(rest, path):
    """Stream the archive to a file; it must have the announced length and digest."""
    response = await rest.open(_PATH)
    try:
        expected = _digest(response.headers.get("repr-digest", ""))
        if response.length is not None:
            info = os.statvfs(path.rsplit("/", 1)[0])
            if response.length > info[1] * info[4]:
                raise SwitchError("the archive has %d bytes, that many are not free" % response.length)
        found = hashlib.sha256()
        piece = memoryview(bytearray(_PIECE))
        with open(path, "wb") as file:
            while True:
                count = await response.readinto(piece)
                if not count:
                    break
                found.update(piece[:count])
                file.write(piece[:count])
        if found.digest() != expected:
            raise ArchiveError("the archive is not what the gateway announced: its SHA-256 differs")
    finally:
        response.close()


def _digest(header):
    """The 32 bytes of `sha-256=:<base64>:`; other algorithms may stand beside it."""
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "sha-256" and len(value) > 2 and value[0] == value[-1] == ":":
            try:
                digest = binascii.a2b_base64(value[1:-1])
            except ValueError:
                break
            if len(digest) == 32:
                return digest
            break
    raise ArchiveError("the gateway sent no SHA-256 of the archive (Repr-Digest): it is not installed")


def _check(home, names, uuid):
    """The commit that the unpacked version names; ArchiveError if it is not a whole version of this unit."""
    if "env.json" not in names or "schema.json" not in names:
        raise ArchiveError("the archive has no env.json or no schema.json")
    if "log.json" in names:
        names.remove("log.json")
    try:
        values = env.parse(files.read(home + "/next/env.json"), uuid)
        schema.parse(files.read(home + "/next/schema.json"))
    except (EnvError, SchemaError) as error:
        raise ArchiveError("the archive is refused: %s" % error)
    commit = values.get("PU_COMMIT_VERSION")
    if not isinstance(commit, str) or not commit:
        raise ArchiveError("env.json of the archive names no PU_COMMIT_VERSION")
    return commit
