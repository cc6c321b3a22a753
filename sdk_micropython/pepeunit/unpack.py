"""Unpacking a downloaded archive beside the running version."""

import asyncio
import os

import deflate

import pepeunit.files as files
import pepeunit.tar as tar
from pepeunit.errors import ArchiveError

_PIECE = 1024


async def unpack(home):
    """Unpack download into next/; the names of its files."""
    os.mkdir(home + "/next")
    piece = memoryview(bytearray(_PIECE))
    names = []
    with open(home + "/download", "rb") as packed:
        reader = tar.Reader(deflate.DeflateIO(packed, deflate.ZLIB))
        try:
            while True:
                member = reader.next()
                if member is None:
                    break
                name, is_folder, _ = member
                if is_folder:
                    continue
                if name in names:
                    raise ArchiveError("the archive holds %s twice" % name)
                path = home + "/next/" + name
                files.make_folders(path)
                with open(path, "wb") as file:
                    while True:
                        count = reader.readinto(piece)
                        if not count:
                            break
                        file.write(piece[:count])
                        await asyncio.sleep_ms(0)  # the rest of the unit goes on meanwhile
                names.append(name)
        except (EOFError, UnicodeError, ValueError):
            raise ArchiveError("the archive is damaged")
    return names
