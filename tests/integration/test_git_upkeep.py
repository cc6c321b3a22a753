"""What a mirror takes for nothing is given back, and nothing that anybody may still read."""

import asyncio
import time
from pathlib import Path
from random import Random

import pytest

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.folders import folder_size
from pepeunit_gateway.firmware.refs import REFS_FILE
from tests.support.git_server import GitServer
from tests.support.repository import ServedRepository

LATER = 3600.0
LARGE = 300_000


@pytest.fixture
async def repository(tmp_path):
    with GitServer(tmp_path / "git") as server:
        served = ServedRepository(tmp_path, server)
        yield served
        await served.close()


def noise(number: int) -> bytes:
    """Bytes that no pack makes smaller."""
    return Random(number).randbytes(LARGE)


async def rewrite(repository: ServedRepository) -> str:
    """Publish a large file, then push history without it; return the commit that is on no branch any more."""
    tree = repository.tree
    tree.write("large.bin", noise(1))
    gone = tree.commit("large")
    tree.push()
    await repository.sync()
    tree.git("reset", "--hard", "--quiet", repository.first)
    tree.write("main.py", "print('two')\n")
    tree.commit("without it")
    tree.push()
    await repository.sync()
    return gone


def packs(mirror: Path) -> int:
    return len(list((mirror / "objects" / "pack").glob("*.pack")))


async def tidy(repository: ServedRepository, later: float = LATER) -> int:
    return await repository.mirrors.tidy(repository.registry, now=time.time() + later)


async def test_what_a_force_push_left_is_given_back_and_branches_stay_readable(repository):
    gone = await rewrite(repository)
    mirrors, registry = repository.cache(), repository.registry
    assert await mirrors.read_file(registry, gone, "main.py") is not None
    before = folder_size(repository.mirror)
    freed = await tidy(repository)
    assert freed > LARGE * 0.9
    assert folder_size(repository.mirror) <= before - freed
    assert packs(repository.mirror) == 1
    assert await repository.main_py() == b"print('two')\n"
    assert await mirrors.read_file(registry, repository.first, "main.py") == b"print('one')\n"
    with pytest.raises(GitRepoError, match="no commit"):
        await repository.cache().read_file(registry, gone, "large.bin")
    assert await tidy(repository) == 0
    assert not (await repository.sync()).changed


async def test_a_branch_that_was_rewritten_just_now_keeps_what_somebody_may_be_reading(repository):
    gone = await rewrite(repository)
    assert await tidy(repository, later=60.0) == 0
    assert await repository.cache().read_file(repository.registry, gone, "main.py") == b"print('one')\n"


async def test_a_commit_that_a_tag_still_reaches_stays(repository):
    repository.tree.write("large.bin", noise(1))
    kept = repository.tree.commit("large")
    repository.tree.git("tag", "v1")
    repository.tree.push()
    await repository.sync()
    repository.tree.git("reset", "--hard", "--quiet", repository.first)
    repository.tree.push()
    await repository.sync()
    assert await tidy(repository) == 0
    assert await repository.cache().read_file(repository.registry, kept, "large.bin") == noise(1)


async def test_a_mirror_whose_sync_was_killed_before_it_was_published_is_left_alone(repository):
    """Else what readers still see, and no ref of the mirror reaches any more, would go."""
    await repository.sync()
    published = (repository.mirror / REFS_FILE).read_bytes()
    gone = await rewrite(repository)
    (repository.mirror / REFS_FILE).write_bytes(published)
    assert await tidy(repository) == 0
    assert await repository.cache().read_file(repository.registry, gone, "main.py") is not None


async def test_many_small_packs_become_one(repository):
    await repository.sync()
    for number in range(5):
        repository.tree.write("main.py", f"print({number})\n")
        repository.tree.commit(str(number))
        repository.tree.push()
        await repository.sync()
    assert packs(repository.mirror) == 6
    assert await tidy(repository) > 0
    assert packs(repository.mirror) == 1
    assert await repository.main_py() == b"print(4)\n"


async def test_who_reads_while_a_mirror_is_packed_anew_finds_everything(repository):
    await rewrite(repository)
    for number in range(20):
        repository.tree.write(f"file-{number}.txt", f"{number}\n")
    repository.tree.commit("files")
    repository.tree.push()
    await repository.sync()
    mirrors, registry = repository.cache(), repository.registry
    head = mirrors.head(registry, "main")
    freed, *found = await asyncio.gather(
        tidy(repository), *(mirrors.read_file(registry, head, f"file-{number}.txt") for number in range(20))
    )
    assert freed > LARGE * 0.9
    assert found == [b"%d\n" % number for number in range(20)]


async def test_a_registry_without_a_mirror_costs_nothing(repository):
    assert await tidy(repository) == 0
