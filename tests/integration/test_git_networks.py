"""Where git and the look before it may go: what was checked is what is used, whatever a name says later."""

import socket
from pathlib import Path
from uuid import uuid4

import pytest

from pepeunit_gateway.errors import RepositoryRegistryError
from tests.support.git_server import Fault, GitServer
from tests.support.repository import ServedRepository

NAME = "sample.invalid"  # leads nowhere outside of this module


@pytest.fixture
async def repository(tmp_path: Path):
    with GitServer(tmp_path / "served") as server:
        served = ServedRepository(tmp_path, server)
        yield served
        await served.close()


@pytest.fixture
def answers(monkeypatch):
    """What the resolver of this process says of the name."""
    given = []
    original = socket.getaddrinfo

    def look_up(host, port, *arguments, **options):
        if host != NAME:
            return original(host, port, *arguments, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port)) for answer in given]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return given


def at_name(repository: ServedRepository, scheme: str = "http") -> str:
    return repository.url.replace("http://127.0.0.1", f"{scheme}://{NAME}")


async def test_git_goes_to_the_address_that_was_checked_without_asking_the_resolver_again(repository, answers):
    """git runs in a process of its own, where the name leads nowhere: it gets there by the pinned address alone."""
    answers.append("127.0.0.1")
    url = at_name(repository)
    assert (await repository.mirrors.sync(repository.registry, url, None)).changed
    second = repository.tree.commit("second")
    repository.tree.push()
    assert (await repository.mirrors.sync(repository.registry, url, None)).changed
    assert repository.mirrors.head(repository.registry, "main") == second


async def test_a_name_that_leads_to_a_private_address_by_now_is_refused_before_anything_is_sent(repository, answers):
    await repository.sync()
    repository.server.requests.clear()
    for answer in ("127.0.0.1", "10.1.2.3", "169.254.169.254"):
        answers[:] = ["93.184.215.14", answer]  # one private address among public ones is enough
        for registry in (repository.registry, uuid4()):  # with a mirror there is a look first
            with pytest.raises(RepositoryRegistryError, match="private or loopback address"):
                await repository.cache(allow_private=False).sync(registry, at_name(repository, "https"), None)
    assert repository.server.requests == []
    assert await repository.main_py() == b"print('one')\n"


@pytest.mark.parametrize("known", [True, False])
async def test_a_redirect_into_the_private_network_is_not_followed(repository, tmp_path, known):
    if known:
        await repository.sync()
    with GitServer(tmp_path / "inner") as inner:
        inner.bare("sample")
        for status in (301, 302, 303, 307, 308):
            location = f"{inner.url('sample')}/info/refs?service=git-upload-pack"
            repository.server.fault = Fault(status=status, headers={"Location": location})
            with pytest.raises(RepositoryRegistryError, match="register the final URL"):
                await repository.sync()
        assert inner.requests == []
    assert repository.mirrors.exists(repository.registry) is known
