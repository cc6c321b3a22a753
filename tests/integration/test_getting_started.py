"""`docs/getting-started.md`: its commands are run as they stand, but for ports, passwords and what waits for ever.

They run in a folder that looks like a fresh checkout, so that the page's `.env` lies there and not in this one.
"""

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pepeunit_gateway.settings import read_settings
from tests.demo.processes import Program
from tests.demo.stage import ROOT, Stage
from tests.demo.steps import Steps

PAGE = ROOT / "docs" / "getting-started.md"
PASSWORD = "First-password-1"
HEAD = f"""
set -euo pipefail
export COLUMNS=200
trap 'trap "" TERM; kill 0; wait' EXIT
until_says() {{
    for _ in $(seq 150); do
        "${{@:2}}" | grep -q -- "$1" && return
        sleep 0.2
    done
    echo "never said $1: ${{*:2}}"
    "${{@:2}}"
    return 1
}}
typed() {{ "$@" --password-stdin <<<'{PASSWORD}'; }}
"""


def sections() -> dict[int, list[str]]:
    """The shell blocks of each numbered section; 0 is what stands before the first one."""
    parts = re.split(r"^## (.*)$", PAGE.read_text(), flags=re.MULTILINE)
    found = {0: parts[0]}
    found |= {
        int(title.split()[0]): text for title, text in zip(parts[1::2], parts[2::2], strict=True) if title[0] < "A"
    }
    return {number: re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for number, text in found.items()}


def replace(text: str, old: str, new: str) -> str:
    assert old in text, f"the page no longer holds: {old}"
    return text.replace(old, new)


def in_background(block: str, log: str) -> str:
    return f"bash -c {shlex.quote(block)} >>~/{log}.log 2>&1 &"


def checkout(folder: Path) -> Path:
    """Make a folder with what the page uses of a checkout."""
    folder.mkdir()
    for name in ("docs", "sdk_micropython", ".venv-mpy"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
    return folder


def script(stage: Stage) -> str:
    """What a person types after the gateway runs, with a wait where the person would look again."""
    page = sections()
    assert page[3][0] == "make run\n"
    person = replace(page[3][1], "pepeunit", "typed pepeunit")
    person = replace(person, "127.0.0.1:8080", f"127.0.0.1:{stage.http_port}")
    # Every second instead of every ten, so that the test need not wait.
    often = "sed -i 's/: [16]0/: 1/' ~/pepeunit/work/env_example.json\ngit init"
    repository = replace(page[4][0], "git init --quiet --bare", often + " --quiet --bare")
    create, kitchen, fan, look = page[5]
    on_micropython, look_again = page[6]
    link, watch = page[7]
    push, result = page[8]
    change, end = page[9]
    head = "$(git -C ~/pepeunit/work rev-parse HEAD | cut -c 1-7)"
    reported = "".join(f'until_says "{name}.*{head}" pepeunit unit list\n' for name in ("kitchen", "hall-fan"))
    return "\n".join(
        [
            HEAD,
            page[0][0],
            person,
            repository,
            create,
            in_background(kitchen, "kitchen"),
            in_background("exec " + fan, "fan"),
            "fan=$!",
            reported,
            look,
            "kill $fan; wait $fan || true",
            in_background(on_micropython, "fan"),
            "until_says 'runtime/pepeunit.*micropython' pepeunit node list hall-fan",
            look_again,
            link,
            r"until_says 'fan_state/pepeunit.*2[0-4]\.[0-9]' pepeunit node list hall-fan",
            watch,
            r"until_says 'set_fan_state/pepeunit.*19\.0' pepeunit node list hall-fan",
            push,
            reported,
            result,
            change,
            "grep -q 'PUBLISH_SEND_INTERVAL *2' <<<$(pepeunit unit env kitchen)",
            end,
            "grep -q 'none yet' <<<$(pepeunit unit list)",
        ]
    )


@pytest.mark.timeout(150)
async def test_the_commands_of_getting_started_lead_to_two_updated_units(tmp_path: Path) -> None:
    here = checkout(tmp_path / "checkout")
    stage = Stage(tmp_path)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}
    settings = Program("settings", ["bash", "-ec", sections()[1][0]], here, env, stage.logs / "settings.log")
    await settings.start()
    assert await asyncio.wait_for(settings.wait(), 10) == 0, settings.tail()
    # The settings are the page's; only the ports are free ones.
    ports = {"PU_HTTP_PORT": str(stage.http_port), "PU_MQTT_PORT": str(stage.mqtt_port)}
    gateway = Program(
        "gateway",
        [stage.pepeunit, "gateway", "run"],
        here,
        {**env, **ports, "PYTHONUNBUFFERED": "1"},
        stage.gateway.log,
    )
    person = Program(
        "person", ["bash", "-c", script(stage)], here, env | {"PATH": os.defpath}, stage.logs / "person.log"
    )

    async def block() -> str:
        return gateway.tail()

    try:
        await gateway.start()
        steps = Steps(print)
        await steps.run("the gateway is running", 20, steps.until(block, lambda text: "is running" in text))
        await person.start()
        code = await asyncio.wait_for(person.wait(), 120)
        assert code == 0, f"{person.tail(60)}\n{gateway.tail()}"
        assert (here / "data").is_dir()
    finally:
        await person.stop()
        await gateway.stop(grace=10.0)


def test_the_settings_for_a_network_are_such_as_the_gateway_takes(tmp_path: Path) -> None:
    ports, network = re.findall(r"```ini\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / ".env").write_text(ports)
    settings = read_settings({}, tmp_path)
    assert (settings.http_port, settings.mqtt_port) == (8090, 1893)
    (tmp_path / ".env").write_text(network)
    settings = read_settings({}, tmp_path)
    assert settings.domain == f"{settings.mqtt_host}:{settings.http_port}"
    assert settings.listen_host_mqtt == settings.http_host == "0.0.0.0"  # noqa: S104 - nothing is bound


def test_git_ignores_the_settings_of_the_page(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True, timeout=10)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    done = subprocess.run(
        ["git", "check-ignore", ".env", "data/x"], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=10
    )
    assert done.stdout.split() == [".env", "data/x"]
