"""A process of its own that builds archives of one commit again and again: FOLDER REGISTRY COMMIT ROUNDS.

FOLDER has `mirrors` and `archives`, as the data folder of a gateway. It prints the digest of each archive.
"""

import asyncio
import sys
from pathlib import Path
from uuid import UUID

from pepeunit_gateway.firmware.archives import ArchiveCache, ArchiveFormat
from pepeunit_gateway.firmware.mirrors import MirrorCache
from tests.support.packed_program import ENV, SCHEMA
from tests.support.repository import MIB

FORMATS = (ArchiveFormat.tar(), ArchiveFormat.tgz(), ArchiveFormat.zip(), ArchiveFormat.tgz(12, 3))


async def _build(folder: Path, registry: UUID, commit: str, rounds: int) -> None:
    limits = {"max_size": MIB, "allow_private": True, "allow_file": (), "timeout": 30.0}
    mirrors = MirrorCache(folder / "mirrors", **limits)
    for _ in range(rounds):
        archives = ArchiveCache(folder / "archives", mirrors, max_bytes=MIB)
        for fmt in FORMATS:
            async with await archives.build(registry, commit, ENV, SCHEMA, fmt) as archive:
                data = await archive.read()
            print(fmt.stem_name, archive.digest.hex(), len(data), flush=True)
        await archives.close()
    await mirrors.close()


if __name__ == "__main__":
    asyncio.run(_build(Path(sys.argv[1]), UUID(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
