import asyncio
import os

import pytest

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.git import Ceiling, git_environment, run_git

PATH = os.environ["PATH"]
MIB = 1024 * 1024
ROOMY = Ceiling(memory=100 * MIB)


def test_the_environment_holds_nothing_of_the_machines(monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    environment = git_environment(search_path="/bin", protocols="https", config=[("a.b", "c")])
    assert "GIT_DIR" not in environment
    assert environment["GIT_TERMINAL_PROMPT"] == "0"
    assert environment["GIT_ALLOW_PROTOCOL"] == "https"
    last = int(environment["GIT_CONFIG_COUNT"]) - 1
    assert (environment[f"GIT_CONFIG_KEY_{last}"], environment[f"GIT_CONFIG_VALUE_{last}"]) == ("a.b", "c")


async def test_git_reads_our_settings_and_no_others():
    output = await run_git(["config", "--list"], environment=git_environment(search_path=PATH), limit=10, ceiling=ROOMY)
    keys = {line.partition("=")[0] for line in output.stdout.decode().splitlines()}
    assert keys >= {"core.hookspath", "http.followredirects"}
    assert "user.name" not in keys


async def test_output_code_and_last_words_come_back():
    output = await run_git(
        ["rev-parse", "--no-such"], environment=git_environment(search_path=PATH), limit=10, ceiling=ROOMY
    )
    assert output.code == 128
    assert "not a git repository" in output.stderr


async def test_input_reaches_git():
    environment = git_environment(search_path=PATH)
    output = await run_git(
        ["hash-object", "--stdin"], environment=environment, limit=10, ceiling=ROOMY, stdin=b"hello\n"
    )
    assert output.stdout == b"ce013625030ba8dba906f756967f9e9ca394464a\n"


@pytest.fixture
def slow_git(tmp_path):
    """A `git` that starts a child, notes the pids, ignores SIGTERM and sleeps."""
    program = tmp_path / "git"
    program.write_text(
        f"#!/bin/sh\ntrap '' TERM\nsleep 60 &\n"
        f"echo $$ $! > {tmp_path}/pids.new\nmv {tmp_path}/pids.new {tmp_path}/pids\nwait\nwait\n"
    )
    program.chmod(0o755)
    return tmp_path


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - one line of the kernel
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def all_end(pids):
    """Wait until the kernel has ended what was killed; a second is plenty, ten are for a loaded machine."""
    async with asyncio.timeout(10):
        while any(is_running(pid) for pid in pids):  # noqa: ASYNC110 - processes that are not our children
            await asyncio.sleep(0.01)


async def test_after_the_time_limit_the_whole_group_is_gone(slow_git, monkeypatch):
    monkeypatch.setenv("PATH", f"{slow_git}:{PATH}")
    with pytest.raises(TimeoutError):
        await run_git(["fetch"], environment=git_environment(search_path=os.environ["PATH"]), limit=2, ceiling=ROOMY)
    pids = (slow_git / "pids").read_text().split()
    assert len(pids) == 2
    await all_end(pids)


async def test_a_cancelled_caller_leaves_no_process(slow_git, monkeypatch):
    monkeypatch.setenv("PATH", f"{slow_git}:{PATH}")
    environment = git_environment(search_path=os.environ["PATH"])
    task = asyncio.create_task(run_git(["fetch"], environment=environment, limit=60, ceiling=ROOMY))
    async with asyncio.timeout(10):
        while not (slow_git / "pids").exists():  # noqa: ASYNC110 - a file of another process
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await all_end((slow_git / "pids").read_text().split())


async def test_more_output_than_allowed_ends_git():
    environment = git_environment(search_path=PATH)
    with pytest.raises(GitRepoError, match="more than 10 bytes"):
        await run_git(["help", "-a"], environment=environment, limit=10, ceiling=ROOMY, max_output=10)


async def test_a_machine_without_git_is_told_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(GitRepoError, match="apt-get install git"):
        await run_git(["version"], environment=git_environment(search_path="/nonexistent"), limit=10, ceiling=ROOMY)


def test_what_git_may_take_grows_with_what_a_mirror_may_take():
    assert Ceiling.of_mirror(50 * MIB) == Ceiling(memory=246 * MIB, file=50 * MIB)


async def test_more_memory_than_allowed_ends_git():
    options = {"environment": git_environment(search_path=PATH), "limit": 20, "stdin": b"x" * (20 * MIB)}
    options["max_output"] = 64 * MIB
    small = await run_git(["stripspace"], ceiling=Ceiling(memory=16 * MIB), **options)
    assert small.code
    assert "Out of memory" in small.stderr
    assert not (await run_git(["stripspace"], ceiling=ROOMY, **options)).code


async def test_a_file_grows_no_larger_than_allowed(tmp_path):
    ceiling = Ceiling(memory=100 * MIB, file=MIB)
    with (tmp_path / "out").open("wb") as out:
        output = await run_git(
            ["hash-object", "--stdin-paths"],
            environment=git_environment(search_path=PATH),
            limit=20,
            ceiling=ceiling,
            stdin=b"/dev/null\n" * 60_000,
            stdout=out,
        )
    assert output.code
    assert (tmp_path / "out").stat().st_size == MIB
