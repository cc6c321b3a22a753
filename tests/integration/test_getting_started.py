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
HEAD = "set -euo pipefail\n"
REPORTED = "api $API/units/$UNIT | field current_commit_version"
WAIT = f"""
WANTED=$(git -C ~/pepeunit/work rev-parse HEAD)
for _ in $(seq 300); do
    [ "$({REPORTED})" = "$WANTED" ] && break
    sleep 0.1
done
[ "$({REPORTED})" = "$WANTED" ]
"""
NODE = """
node() {
    api "$API/unit_nodes?unit_uuid=$UNIT&type=$1" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["unit_nodes"][0]["uuid"])'
}
"""


def blocks() -> dict[int, str]:
    """The shell blocks of each numbered section, joined."""
    sections = re.split(r"^## (\d+) .*$", (ROOT / "docs" / "getting-started.md").read_text(), flags=re.MULTILINE)[1:]
    return {
        int(number): "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
        for number, text in zip(sections[::2], sections[1::2], strict=True)
    }


def replace(text: str, old: str, new: str) -> str:
    assert old in text, f"the page no longer holds: {old}"
    return text.replace(old, new)


def script(stage: Stage, home: Path) -> str:
    page = blocks()
    people = replace(page[2], "$PWD/data", str(stage.data))
    people = replace(people, "--login my-admin ", f"--login my-admin --password-stdin <<<'{PASSWORD}' ")
    people = replace(people, "127.0.0.1:8080", f"127.0.0.1:{stage.http_port}")
    people = replace(people, "read -rsp 'password: ' PASSWORD", f"PASSWORD='{PASSWORD}'")
    running = replace(
        page[5], "kitchen/main.py\n", f"kitchen/main.py >{home}/unit.log 2>&1 &\ntrap 'kill %1; wait' EXIT\n"
    )
    links = replace(page[7], '"node_output_uuid": "…"', '"node_output_uuid": "\'$(node Output)\'"')
    links = replace(links, '"node_input_uuid": "…"', '"node_input_uuid": "\'$(node Input)\'"')
    assert REPORTED in page[6], "the page no longer tells how to see the reported commit"
    return HEAD + people + page[3] + page[4] + running + WAIT + page[6] + WAIT + NODE + links


@pytest.mark.timeout(120)
async def test_the_commands_of_getting_started_lead_to_an_updated_unit(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    home = tmp_path / "home"
    (home / "pepeunit").mkdir()
    (home / ".gitconfig").write_text("[user]\nname = Maker\nemail = maker@example.org\n")
    stage.gateway.env |= {"PU_GIT_ALLOW_FILE": str(home / "pepeunit"), "PU_REPO_POLL_INTERVAL": "1"}
    env = {"PATH": os.environ["PATH"], "HOME": str(home)}
    person = Program("person", ["bash", "-c", script(stage, home)], ROOT, env, stage.logs / "person.log")
    try:
        await stage.gateway.start()

        async def block() -> str:
            return stage.gateway.tail()

        steps = Steps(print)
        await steps.run("start", 20, steps.until(block, lambda text: "is running" in text))
        await person.start()
        code = await asyncio.wait_for(person.wait(), 80)
        assert code == 0, person.tail() + stage.gateway.tail()
        assert '"node_output_uuid"' in person.tail(1)  # the answer to the last command, a link
    finally:
        await person.stop()
        await stage.close()
