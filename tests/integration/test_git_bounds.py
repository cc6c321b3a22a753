"""What a hostile or huge repository may cost: memory and files of git are bounded, ordinary repositories pass."""

import random
import resource
from pathlib import Path

import pytest

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.firmware.git import Ceiling
from tests.support.delta_bombs import add_delta_bomb
from tests.support.git_server import GitServer
from tests.support.repository import MIB, ServedRepository


@pytest.fixture
async def repository(tmp_path: Path):
    with GitServer(tmp_path / "served") as server:
        served = ServedRepository(tmp_path, server)
        yield served
        await served.close()


async def test_a_pack_that_unfolds_to_more_than_memory_is_refused_and_the_old_version_stays(repository):
    mirrors = repository.cache(max_size=MIB)
    await repository.sync(mirrors)
    add_delta_bomb(repository.server.bare("sample"), 300)
    assert Ceiling.of_mirror(MIB).memory < 300 * MIB
    with pytest.raises(RepositoryRegistryError, match=r"too much memory.*PU_MAX_EXTERNAL_REPO_SIZE"):
        await repository.sync(mirrors)
    assert await repository.main_py() == b"print('one')\n"
    assert repository.leftovers() == set()
    repository.tree.push()
    await repository.sync(mirrors)


async def test_a_file_that_compresses_well_is_fetched_in_little_memory(repository):
    """It is larger than all the memory that git may have; what reads it later looks at its size first."""
    repository.tree.write("zeros.bin", bytes(110 * MIB))
    commit = repository.tree.commit("zeros")
    repository.tree.push()
    mirrors = repository.cache(max_size=MIB)
    assert Ceiling.of_mirror(MIB).memory < 110 * MIB
    assert (await repository.sync(mirrors)).changed
    assert mirrors.head(repository.registry, "main") == commit


async def test_a_repository_just_below_the_limit_is_fetched(repository):
    size = 12 * MIB
    repository.tree.write("noise.bin", random.Random(1).randbytes(size - 400_000))
    for number in range(500):
        repository.tree.write(f"small/{number}.txt", f"{number}\n" * 50)
    commit = repository.tree.commit("nearly too large")
    repository.tree.push()
    mirrors = repository.cache(max_size=size)
    result = await repository.sync(mirrors)
    assert size - 400_000 < result.size < size
    assert mirrors.head(repository.registry, "main") == commit


def own_limit(kind, value):
    """What holds for a child: ours, or a lower one of this machine."""
    hard = resource.getrlimit(kind)[1]
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


async def test_no_git_leaves_a_core_dump_and_none_grows_beyond_its_ceiling(repository, monkeypatch):
    """A program in the place of git tells the limits that it was given."""
    program = repository.folder / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho fatal: $(ulimit -c) $(ulimit -d) $(ulimit -f) >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    memory = own_limit(resource.RLIMIT_DATA, (96 + 3 * 50) * MIB) // 1024
    blocks = own_limit(resource.RLIMIT_FSIZE, 50 * MIB) // 512
    with pytest.raises(RepositoryRegistryError, match=f": 0 {memory} {blocks}$"):
        await repository.sync()
