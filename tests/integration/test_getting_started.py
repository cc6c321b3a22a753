"""`docs/getting-started.md`: its commands are run as they stand, but for ports, passwords and what waits for ever."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from tests.demo.processes import Program
from tests.demo.stage import ROOT, Stage
from tests.demo.steps import Steps

PASSWORD = "First-password-1"
HEAD = f"""
set -euo pipefail
export COLUMNS=200
trap 'kill $(jobs -p); wait' EXIT
until_says() {{
    for _ in $(seq 100); do
        "${{@:2}}" | grep -q -- "$1" && return
        sleep 0.2
    done
    echo "never said $1: ${{*:2}}"
    "${{@:2}}"
    return 1
}}
typed() {{ "$@" --password-stdin <<<'{PASSWORD}'; }}
"""


def sections() -> dict[int, str]:
    """The shell blocks of each numbered section, joined."""
    parts = re.split(r"^## (\d+) .*$", (ROOT / "docs" / "getting-started.md").read_text(), flags=re.MULTILINE)[1:]
    return {
        int(number): "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
        for number, text in zip(parts[::2], parts[1::2], strict=True)
    }


def replace(text: str, old: str, new: str) -> str:
    assert old in text, f"the page no longer holds: {old}"
    return text.replace(old, new)


def script(stage: Stage) -> str:
    """What a person types after the gateway runs, with a wait where the person would look again."""
    page = sections()
    person = replace(page[2], "$PWD/data", str(stage.data))
    person = replace(person, "PU_DATA_DIR=", "export PU_DATA_DIR=").replace(
        " pepeunit gateway", "\ntyped pepeunit gateway"
    )
    person = replace(person, "pepeunit login", "typed pepeunit login")
    person = replace(person, "127.0.0.1:8080", f"127.0.0.1:{stage.http_port}")
    running = replace(page[5], "/main.py\n", "/main.py >~/unit.log 2>&1 &\n")
    head = "$(git -C ~/pepeunit/work rev-parse HEAD | cut -c 1-7)"
    reported = "".join(f'until_says "{name}.*{head}" pepeunit unit list\n' for name in ("kitchen", "hall-fan"))
    linked = r"until_says 'fan_state/pepeunit.*2[0-4]\.[0-9]' pepeunit node list hall-fan" + "\n"
    # Every second instead of every ten, so that the test need not wait.
    often = "sed -i 's/: 10,/: 1,/' ~/pepeunit/work/env_example.json\ngit init"
    repository = replace(page[3], "git init", often)
    return HEAD + person + repository + page[4] + running + reported + page[6] + linked + page[7] + reported


@pytest.mark.timeout(120)
async def test_the_commands_of_getting_started_lead_to_two_updated_units(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    home = tmp_path / "home"
    (home / "pepeunit").mkdir()
    (home / ".gitconfig").write_text("[user]\nname = Maker\nemail = maker@example.org\n")
    stage.gateway.env |= {"PU_GIT_ALLOW_FILE": str(home / "pepeunit"), "PU_REPO_POLL_INTERVAL": "1"}
    env = {"PATH": os.environ["PATH"], "HOME": str(home)}
    person = Program("person", ["bash", "-c", script(stage)], ROOT, env, stage.logs / "person.log")
    try:
        await stage.gateway.start()

        async def block() -> str:
            return stage.gateway.tail()

        steps = Steps(print)
        await steps.run("the gateway is running", 20, steps.until(block, lambda text: "is running" in text))
        await person.start()
        code = await asyncio.wait_for(person.wait(), 90)
        assert code == 0, f"{person.tail(60)}\n{stage.gateway.tail()}"
    finally:
        await person.stop()
        await stage.close()
