"""The shell of docs/rest.md: its lines for archives as they stand, and what `field` says of an error."""

import re
import subprocess
from asyncio import to_thread
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.rest_world import world
from tests.support.sample_program import make_unit

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rest.md"
BROKEN_OFF = "head -c 500 unit.tar.gz >part && mv part unit.tar.gz\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600) as made:
        yield made


def blocks(heading: str) -> list[str]:
    """The shell blocks below a heading."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


async def bash(text: str, folder: Path, *, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    def run():
        env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **variables}
        return subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", text],
            cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    done = await to_thread(run)
    assert done.returncode == code, done
    return done


def name_of(download: str) -> str:
    """The line that says which archive it is about."""
    return download.splitlines(keepends=True)[0]


async def unit_of(here, name):
    made = await make_unit(here.alice, here.repo["uuid"], name)
    return {"API": f"{here.gateway.origin}/pepeunit/api/v1", "TOKEN": here.alice.token, "UNIT": made["uuid"]}


async def test_the_lines_for_archives_download_check_and_go_on(here, tmp_path):
    variables = await unit_of(here, "page-unit")
    download, rest = blocks("Archives")
    first, second = (await bash(download, tmp_path, **variables)).stdout.split()
    assert first == second
    assert (tmp_path / "unit" / "env.json").is_file()
    whole = (tmp_path / "unit.tar.gz").read_bytes()
    done = await bash(name_of(download) + BROKEN_OFF + rest, tmp_path, **variables)
    assert (tmp_path / "unit.tar.gz").read_bytes() == whole
    assert f"Content-Length: {len(whole)}" in done.stdout
    assert done.stdout.splitlines()[-1] == "304"


async def test_a_download_that_broke_off_does_not_go_on_with_another_archive(here, tmp_path):
    variables = await unit_of(here, "page-unit-2")
    download, rest = blocks("Archives")
    await bash(download, tmp_path, **variables)
    body = {"env_json_string": '{"SPEED": 7}'}
    assert (await here.alice.patch(f"/units/env/{variables['UNIT']}", body)).status < 300
    assert "resume" in (await bash(name_of(download) + BROKEN_OFF + rest, tmp_path, code=33, **variables)).stderr


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('{"detail": "409: 7: x: the name is taken"}', '{"detail": "409: 7: x: the name is taken"}\n'),
        ("", "there is no answer; does the gateway run at this address?\n"),
        ("<html>", "<html>\n"),
    ],
)
async def test_an_answer_without_the_field_is_shown_whole(tmp_path, answer, said):
    (helper,) = re.findall(r"^field\(\) .*?\"\$1\"; }$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    done = await bash(helper + '\nprintf %s "$ANSWER" | field uuid', tmp_path, code=1, ANSWER=answer)
    assert (done.stdout, done.stderr) == ("", said)
    found = await bash(helper + '\nprintf %s \'{"uuid": "7"}\' | field uuid', tmp_path)
    assert found.stdout == "7\n"
