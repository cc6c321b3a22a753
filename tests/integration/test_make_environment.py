"""`.ci/setup`, `.ci/start` and `.ci/run` in a made-up checkout whose interpreter only writes down what it is asked."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements-gateway.lock", "requirements-dev.lock", "requirements-mpy.lock", "requirements-stubs.lock")
MAKEFILE = """
check:
	@exit {check}
test:
	@echo "{closing}"
	@exit {test}
"""


@dataclass
class Checkout:
    """A folder that looks like a fresh clone to the scripts."""

    folder: Path

    def run(self, script: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / ".ci" / script, *arguments],
            env={"PATH": "/usr/sbin:/usr/bin:/bin", "CALLS": str(self.folder / "calls"), **env},
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )

    def take_calls(self) -> list[str]:
        """What pip was asked since the last look."""
        log = self.folder / "calls"
        calls = [line for line in log.read_text().splitlines() if " pip " in line] if log.exists() else []
        log.unlink(missing_ok=True)
        return calls


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    for name in (*LOCKS, "pyproject.toml"):
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "pepeunit"):
        tool = tmp_path / ".venv" / "bin" / name
        tool.write_text('#!/bin/bash\necho "${0##*/} $*" >>"$CALLS"\necho "data: ${PU_DATA_DIR:-unset}"\n')
        tool.chmod(0o755)
    return Checkout(tmp_path)


def test_a_second_set_up_installs_nothing(checkout: Checkout) -> None:
    assert checkout.run("setup", "gateway").returncode == 0
    assert len(checkout.take_calls()) == 2  # the lock, then the checkout itself
    done = checkout.run("setup", "gateway")
    assert (done.returncode, done.stderr, checkout.take_calls()) == (0, "", [])


def test_going_between_run_and_test_installs_nothing_twice(checkout: Checkout) -> None:
    checkout.run("setup", "gateway")
    checkout.run("setup", "dev")
    checkout.take_calls()
    for part in ("gateway", "dev", "gateway", "dev"):
        assert checkout.run("setup", part).returncode == 0
    assert checkout.take_calls() == []


def test_the_dev_environment_serves_the_gateway(checkout: Checkout) -> None:
    checkout.run("setup", "dev")
    assert "--require-hashes -r requirements-dev.lock" in checkout.take_calls()[0]
    checkout.run("setup", "gateway")
    assert checkout.take_calls() == []


def test_a_changed_lock_is_installed(checkout: Checkout) -> None:
    checkout.run("setup", "gateway")
    checkout.take_calls()
    (checkout.folder / "requirements-gateway.lock").write_text("another\n")
    checkout.run("setup", "gateway")
    assert ["requirements-gateway.lock" in call for call in checkout.take_calls()] == [True]


def test_an_unknown_part_is_refused_by_name(checkout: Checkout) -> None:
    done = checkout.run("setup", "nonsense")
    assert done.returncode != 0
    assert "no such part: nonsense" in done.stderr


def test_without_a_fitting_python_the_message_says_what_to_install(checkout: Checkout) -> None:
    shutil.rmtree(checkout.folder / ".venv")
    done = checkout.run("setup", "gateway", PYTHON="no-such-python")
    assert done.returncode != 0
    assert "no Python 3.11 or newer found under the name no-such-python" in done.stderr
    assert "apt-get install python3" in done.stderr


def test_make_run_keeps_its_data_in_the_checkout(checkout: Checkout) -> None:
    assert checkout.run("start").stdout == f"data: {checkout.folder}/data\n"


def test_a_data_folder_of_the_environment_wins(checkout: Checkout) -> None:
    assert checkout.run("start", PU_DATA_DIR="/elsewhere").stdout == "data: /elsewhere\n"


def test_a_data_folder_named_in_dot_env_is_left_to_the_gateway(checkout: Checkout) -> None:
    (checkout.folder / ".env").write_text("PU_HTTP_PORT=8081\nPU_DATA_DIR=/elsewhere\n")
    assert checkout.run("start").stdout == "data: unset\n"


def pins(lock: str) -> set[str]:
    return set(re.findall(r"^([A-Za-z0-9._-]+==[^ ;]+)", (ROOT / lock).read_text(), re.MULTILINE))


def test_the_dev_lock_holds_everything_of_the_gateway_lock() -> None:
    gateway = pins("requirements-gateway.lock")
    assert len(gateway) > 20
    assert gateway <= pins("requirements-dev.lock")


CLOSING = "===== 12 passed in 3.45s ====="


@pytest.mark.parametrize(
    ("check", "test", "closing", "code"),
    [
        (0, 0, CLOSING, 0),
        (1, 0, CLOSING, 1),
        (0, 1, "===== 1 failed, 11 passed in 3.45s =====", 1),
        (0, 0, "no such line", 1),
    ],
)
def test_ci_run_passes_only_if_check_and_test_do(
    checkout: Checkout, check: int, test: int, closing: str, code: int
) -> None:
    (checkout.folder / "Makefile").write_text(MAKEFILE.format(check=check, test=test, closing=closing))
    done = checkout.run("run")
    assert done.returncode == code
    if "in 3.45s" in closing:
        assert done.stdout.splitlines()[-1] == closing
