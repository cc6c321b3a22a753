"""W6: a token reaches the git server and nothing else."""

import asyncio
import base64
import threading
import zlib
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.firmware.archives import ArchiveCache, ArchiveFormat
from pepeunit_gateway.firmware.mirrors import Credentials
from tests.support.git_server import Fault, GitServer
from tests.support.repository import MIB, ServedRepository

TOKEN = "glpat-Qx7/тайна+secret"
SPELLINGS = [TOKEN.encode(), base64.b64encode(f"me:{TOKEN}".encode()), b"Qx7", b"Authorization"]


@pytest.fixture
async def repository(tmp_path: Path):
    with GitServer(tmp_path / "served", credentials=("me", TOKEN)) as server:
        served = ServedRepository(tmp_path, server, Credentials("me", TOKEN))
        yield served
        await served.close()


def files_with_token(folder: Path) -> list[Path]:
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes() + str(path).encode()
            found += [path for spelling in SPELLINGS if spelling in content]
    return found


async def test_w6_the_token_opens_the_repository_and_lies_nowhere_on_disk(repository):
    assert (await repository.sync()).changed
    assert any(authorization.startswith("Basic ") for _, authorization in repository.server.requests)
    assert files_with_token(repository.folder / "mirrors") == []
    assert "url" not in (repository.mirror / "config").read_text()


async def test_w6_neither_token_nor_git_folder_is_in_an_archive(repository):
    await repository.sync()
    archives = ArchiveCache(repository.folder / "archives", repository.mirrors, max_bytes=MIB)
    archive = await archives.build(repository.registry, repository.first, b"{}", b"{}", ArchiveFormat.tgz())
    async with archive:
        content = zlib.decompress(await archive.read(), 9)
    assert b"./main.py" in content
    assert b".git/" not in content
    assert not any(spelling in content for spelling in SPELLINGS)
    assert files_with_token(repository.folder / "archives") == []


def command_lines_below(mirrors: Path) -> list[bytes]:
    """The command lines of this run's git processes and of the helpers they started."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if str(mirrors).encode() in line or f"GIT_DIR={mirrors}".encode() in environment:
            lines.append(line)
    return lines


async def test_w6_the_token_is_on_no_command_line_while_git_runs(repository):
    fault = repository.server.fault = Fault(release=threading.Event())
    running = asyncio.create_task(repository.sync())
    assert await asyncio.to_thread(fault.arrived.wait, 20)
    lines = command_lines_below(repository.folder / "mirrors")
    fault.release.set()
    await running
    assert len(lines) >= 2, "git and its HTTP helper"
    assert not any(spelling in line for line in lines for spelling in SPELLINGS)


FAULTS = [
    Fault(status=500, body=TOKEN.encode()),
    Fault(status=403, body=SPELLINGS[1]),
    Fault(cut_after=10),
    Fault(status=301, headers={"Location": "http://127.0.0.1:1/other.git/info/refs?service=git-upload-pack"}),
]


@pytest.mark.parametrize("fault", FAULTS)
async def test_w6_neither_errors_nor_logs_tell_the_token(repository, fault, caplog):
    """W12 too."""
    repository.server.fault = fault
    with capture_logs() as logs, pytest.raises(RepositoryRegistryError) as caught:
        await repository.sync()
    told = "".join([repr(caught.value), caught.value.detail, repr(caught.value.__cause__), repr(logs), caplog.text])
    assert "Qx7" not in told
    assert SPELLINGS[1].decode() not in told


async def test_w6_a_redirect_to_another_host_does_not_take_the_token_along(repository, tmp_path):
    with GitServer(tmp_path / "thief") as thief:
        repository.server.fault = Fault(
            status=302, headers={"Location": f"{thief.url('sample')}/info/refs?service=git-upload-pack"}
        )
        with pytest.raises(RepositoryRegistryError, match="register the final URL"):
            await repository.sync()
        assert thief.requests == []


@pytest.mark.parametrize("credentials", [None, Credentials("me", "wrong"), Credentials("", "")])
async def test_wrong_or_missing_credentials_say_what_to_do(repository, credentials):
    repository.credentials = credentials
    with pytest.raises(RepositoryRegistryError, match="set credentials that may read it"):
        await repository.sync()
    assert repository.leftovers() == set()


async def test_credentials_that_expire_leave_the_old_mirror(repository):
    await repository.sync()
    repository.server.credentials = ("me", "renewed")
    with pytest.raises(RepositoryRegistryError, match="credentials"):
        await repository.sync()
    assert await repository.main_py() == b"print('one')\n"


async def test_a_name_is_reached_at_the_address_that_was_checked(repository):
    url = repository.url.replace("127.0.0.1", "localhost")
    assert (await repository.mirrors.sync(repository.registry, url, repository.credentials)).changed
