"""`.ci/packages` and the Debian parts of `.ci/setup` against a made-up Debian: the machine itself is not touched."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("bash", "cat", "chmod", "cut", "dirname", "env", "flock", "grep", "mktemp", "mv", "rm", "sha256sum", "sleep")
APT = """#!/bin/bash
echo "apt-get $*; policy: $(tail -n 1 "$POLICY_RC_D")" >>"$CALLS"
for word in "$@"; do
    [ "$word" = update ] && exit 0
    [ "$word" = install ] && { sleep "${APT_SLEEP:-0}"; echo "no such package"; exit "${APT_EXIT:-0}"; }
done
exit 0
"""


@dataclass
class Debian:
    """A folder with stand-ins for Debian's tools; `calls` is what they were asked."""

    folder: Path

    @property
    def policy(self) -> Path:
        return self.folder / "policy-rc.d"

    @property
    def calls(self) -> list[str]:
        log = self.folder / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def tool(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def env(self, **more: str) -> dict[str, str]:
        return {
            "PATH": str(self.folder / "bin"),
            "SBIN_PATH": str(self.folder / "sbin"),
            "POLICY_RC_D": str(self.policy),
            "POSTGRESQL_LIB": str(self.folder / "postgresql"),
            "APT_LISTS": str(self.folder / "lists"),
            "CALLS": str(self.folder / "calls"),
            **more,
        }

    def packages(self, *names: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [self.folder / "checkout" / ".ci" / "packages", *names]
        return subprocess.run(command, check=False, env=self.env(**more), capture_output=True, text=True, timeout=30)

    def setup(self, *parts: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [self.folder / "checkout" / ".ci" / "setup", *parts]
        return subprocess.run(command, check=False, env=self.env(**more), capture_output=True, text=True, timeout=30)


@pytest.fixture
def debian(tmp_path: Path) -> Debian:
    for name in ("bin", "sbin", "lists", "checkout"):
        (tmp_path / name).mkdir()
    for name in TOOLS:
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or pytest.fail(f"{name} is missing"))
    shutil.copytree(ROOT / ".ci", tmp_path / "checkout" / ".ci")
    made = Debian(tmp_path)
    made.tool("apt-get", APT)
    made.tool("tail", f'#!/bin/bash\nexec {shutil.which("tail")} "$@"\n')
    made.tool("dpkg-query", "#!/bin/bash\nexit 1\n")
    made.tool("systemctl", '#!/bin/bash\necho "systemctl $*" >>"$CALLS"\n')
    made.tool("id", "#!/bin/bash\necho 0\n")
    return made


def test_services_may_not_start_while_packages_are_installed(debian: Debian) -> None:
    done = debian.packages("mosquitto")
    assert done.returncode == 0, done.stderr
    install = next(call for call in debian.calls if " install " in call)
    assert install.endswith("mosquitto; policy: exit 101")
    assert not debian.policy.exists()


@pytest.mark.parametrize("package", ["mosquitto", "postgresql", "redis-server"])
def test_the_new_service_is_disabled_for_the_next_boot(debian: Debian, package: str) -> None:
    debian.packages(package)
    assert any(call.startswith("systemctl") and call.endswith(f"disable {package}") for call in debian.calls)


def test_the_services_of_several_packages_are_all_disabled(debian: Debian) -> None:
    debian.packages("redis-server", "python3-venv", "postgresql")
    disabled = [call.rpartition(" ")[2] for call in debian.calls if call.startswith("systemctl")]
    assert disabled == ["redis-server", "postgresql"]


@pytest.mark.parametrize("package", ["mosquitto", "postgresql", "redis-server"])
def test_a_service_that_was_there_before_stays_as_it_is(debian: Debian, package: str) -> None:
    debian.tool("dpkg-query", "#!/bin/bash\necho installed\n")
    debian.packages(package)
    assert not any(call.startswith("systemctl") for call in debian.calls)


def test_lists_are_fetched_first_where_there_are_none(debian: Debian) -> None:
    debian.packages("mosquitto")
    assert " update" in debian.calls[0]


def test_lists_that_are_there_are_not_fetched_again(debian: Debian) -> None:
    (debian.folder / "lists" / "main_Packages.lz4").touch()
    debian.packages("mosquitto")
    assert not any(" update" in call for call in debian.calls)


def test_an_older_policy_is_put_back(debian: Debian) -> None:
    debian.policy.write_text("#!/bin/sh\nexit 0\n")
    debian.policy.chmod(0o750)
    debian.packages("mosquitto")
    assert debian.policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert debian.policy.stat().st_mode & 0o777 == 0o750


def test_an_older_policy_is_put_back_after_a_failure(debian: Debian) -> None:
    debian.policy.write_text("#!/bin/sh\nexit 0\n")
    done = debian.packages("mosquitto", APT_EXIT="100")
    assert done.returncode != 0
    assert "no such package" in done.stderr
    assert debian.policy.read_text() == "#!/bin/sh\nexit 0\n"


def _wait_for(seen: Callable[[], bool], deadline: float = 10.0) -> None:
    end = time.monotonic() + deadline
    while not seen():
        assert time.monotonic() < end, "the event did not come"
        time.sleep(0.01)


def test_an_older_policy_is_put_back_after_an_interrupt(debian: Debian) -> None:
    debian.policy.write_text("#!/bin/sh\nexit 0\n")
    command = [debian.folder / "checkout" / ".ci" / "packages", "mosquitto"]
    process = subprocess.Popen(command, env=debian.env(APT_SLEEP="20"), start_new_session=True)
    _wait_for(lambda: any(" install " in call for call in debian.calls))
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=10) != 0
    assert debian.policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_a_run_after_a_kill_puts_the_older_policy_back(debian: Debian) -> None:
    saved = debian.policy.with_name("policy-rc.d.before-pepeunit")
    saved.write_text("#!/bin/sh\nexit 0\n")
    debian.policy.write_text("#!/bin/sh\nexit 101\n")
    debian.packages("mosquitto")
    assert debian.policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert not saved.exists()


def test_an_ordinary_user_without_sudo_gets_the_exact_command(debian: Debian) -> None:
    debian.tool("id", "#!/bin/bash\necho 1000\n")
    done = debian.setup("mosquitto")
    assert done.returncode != 0
    assert f"su -c '{debian.folder}/checkout/.ci/packages mosquitto'" in done.stderr
    assert debian.calls == []


def test_an_ordinary_user_whose_sudo_asks_for_a_password_gets_the_exact_command(debian: Debian) -> None:
    debian.tool("id", "#!/bin/bash\necho 1000\n")
    debian.tool("sudo", "#!/bin/bash\nexit 1\n")
    done = debian.setup("mosquitto")
    assert done.returncode != 0
    assert f"sudo {debian.folder}/checkout/.ci/packages mosquitto" in done.stderr


def test_sudo_without_a_password_is_used(debian: Debian) -> None:
    debian.tool("id", "#!/bin/bash\necho 1000\n")
    debian.tool("sudo", '#!/bin/bash\nshift\n[ "$1" = true ] && exit 0\nexec "$@"\n')
    done = debian.setup("mosquitto")
    assert done.returncode == 0, done.stderr
    assert any(" install " in call for call in debian.calls)


@pytest.mark.parametrize(("part", "package"), [("postgresql", "postgresql"), ("redis", "redis-server")])
def test_a_server_that_is_missing_is_installed(debian: Debian, part: str, package: str) -> None:
    done = debian.setup(part)
    assert done.returncode == 0, done.stderr
    assert [call for call in debian.calls if call.endswith(f" {package}; policy: exit 101")]


@pytest.mark.parametrize(
    ("part", "program"),
    [("mosquitto", "bin/mosquitto"), ("redis", "bin/redis-server"), ("postgresql", "postgresql/15/bin/initdb")],
)
def test_a_server_that_is_there_is_left_alone(debian: Debian, part: str, program: str) -> None:
    path = debian.folder / program
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/bash\n")
    path.chmod(0o755)
    done = debian.setup(part)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert debian.calls == []
