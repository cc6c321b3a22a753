"""Repositories with more branches than may be listed to strangers: refused, and what was there serves on."""

from pathlib import Path
from uuid import uuid4

import pytest

from pepeunit_gateway.errors import GitRepoError, RepositoryRegistryError
from pepeunit_gateway.firmware import mirrors as mirrors_module
from pepeunit_gateway.firmware import refs as refs_module
from pepeunit_gateway.firmware.refs import Refs, publish_refs
from tests.support.git_server import GitServer
from tests.support.repository import ServedRepository


@pytest.fixture
async def repository(tmp_path: Path):
    with GitServer(tmp_path / "served") as server:
        served = ServedRepository(tmp_path, server)
        yield served
        await served.close()


def add_branches(repository: ServedRepository, number: int) -> None:
    lines = "".join(f"{repository.first} refs/heads/b{index:05}\n" for index in range(number))
    (repository.server.bare("sample") / "packed-refs").write_text(
        f"# pack-refs with: peeled fully-peeled sorted \n{lines}"
    )


@pytest.mark.parametrize("step", ["first", "later", "later, unseen by the look before"])
async def test_w55_too_many_branches_are_refused_and_the_old_state_serves_on(repository, monkeypatch, step):
    monkeypatch.setattr(refs_module, "_MAX_REFS", 50)
    if step != "first":
        await repository.sync()
    add_branches(repository, 50)
    repository.server.requests.clear()
    if step == "later, unseen by the look before":
        (repository.mirror / "pepeunit-files.json").unlink()
    with pytest.raises(RepositoryRegistryError, match="has 51 branches and tags, more than 50; delete those"):
        await repository.sync()
    fetched = any(request.startswith("POST") for request, _ in repository.server.requests)
    assert fetched is (step != "later"), "what the look sees is not fetched"
    assert repository.mirrors.exists(repository.registry) is (step != "first")
    assert repository.leftovers() == set()
    if step != "first":
        assert await repository.mirrors.branches(repository.registry) == ["main"]
        assert await repository.main_py() == b"print('one')\n"
    add_branches(repository, 20)
    assert (await repository.sync()).changed
    assert len(await repository.mirrors.branches(repository.registry)) == 21
    with pytest.raises(GitRepoError, match=r"are: b00000, .*, b00009$"):
        repository.mirrors.head(repository.registry, "nope")


async def test_w55_the_branches_of_many_repositories_are_not_all_kept_in_memory(repository, monkeypatch):
    monkeypatch.setattr(mirrors_module, "_KNOWN_REFS", 100)
    mirrors = repository.cache()
    registries = [uuid4() for _ in range(12)]
    for registry in registries:
        mirrors.mirror(registry).mkdir()
        publish_refs(mirrors.mirror(registry), Refs({f"b{index}": repository.first for index in range(30)}, {}))
    for registry in registries * 2:
        assert len(await mirrors.branches(registry)) == 30
        assert mirrors.refs(registry) is mirrors.refs(registry)
    assert len(mirrors._published) == 3
