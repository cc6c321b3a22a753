"""The wheel: what it holds, and that it works where there is no checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    "sdk_cpython/pepeunit": "pepeunit",
    "gateway/pepeunit_gateway": "pepeunit_gateway",
    "firmware_tools/pepeunit_tools": "pepeunit_tools",
}
COUNT = (
    "import importlib.metadata as m, json; print(json.dumps([d.name for d in m.distributions() if d.name != 'pip']))"
)
WHERE = "import {0}; print({0}.__file__)"


def run(*command: str | Path, cwd: Path, deadline: float = 100) -> subprocess.CompletedProcess[str]:
    # pip keeps its ordinary configuration; nothing of this project's or of Python's own variables gets in.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PU_", "PYTHON", "XDG_"))}
    return subprocess.run(command, cwd=cwd, env=env, check=False, capture_output=True, text=True, timeout=deadline)


def must(*command: str | Path, cwd: Path) -> str:
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without any registry: everything that builds it is in the lock."""
    folder = tmp_path_factory.mktemp("wheel")
    command = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    must(*command, cwd=folder)
    return next(folder.glob("*.whl"))


def make_environment(folder: Path) -> Path:
    """A fresh environment without pip of its own; returns its interpreter."""
    must(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
    return folder / "env" / "bin" / "python"


def tracked_files() -> set[str]:
    listed = must("git", "-C", ROOT, "ls-files", "--", *SOURCES, cwd=ROOT).splitlines()
    found = set()
    for name in listed:
        source = next(folder for folder in SOURCES if name.startswith(folder + "/"))
        found.add(SOURCES[source] + name.removeprefix(source))
    return found


def test_the_wheel_holds_every_tracked_file_of_the_three_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert tracked_files() <= names
    for package in SOURCES.values():
        assert f"{package}/py.typed" in names
    assert any(name.startswith("pepeunit_gateway/storage/migrations/versions/") for name in names)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == set(SOURCES.values())


def test_the_bare_install_asks_for_at_most_three_distributions(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = BytesParser().parsebytes(archive.read(name))
    required = metadata.get_all("Requires-Dist") or []
    assert len([one for one in required if "extra ==" not in one]) <= 3
    assert {"gateway", "tools", "dev"} <= set(metadata.get_all("Provides-Extra") or [])


def test_the_gateway_works_outside_of_the_checkout(wheel: Path, tmp_path: Path) -> None:
    python = make_environment(tmp_path)
    must(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    # The third-party packages of the development environment; a .pth of that folder is not read from here,
    # so that its editable install of this checkout stays out of the way.
    inside = must(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    Path(inside, "third_party.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for package in SOURCES.values():
        assert must(python, "-c", WHERE.format(package), cwd=tmp_path).startswith(inside)
    pepeunit = python.parent / "pepeunit"
    done = subprocess.run(
        [pepeunit, "gateway", "user", "create-admin", "--login", "wheel-admin", "--password-stdin"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin:/usr/sbin", "HOME": str(tmp_path), "PU_DATA_DIR": str(tmp_path / "data")},
        input="Wheel-password-1\n",
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "PU_HTTP_PORT" in must(pepeunit, "gateway", "config", cwd=tmp_path)


def test_the_bare_install_is_a_working_sdk_of_at_most_eight_distributions(wheel: Path, tmp_path: Path) -> None:
    python = make_environment(tmp_path)
    must(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", wheel, cwd=tmp_path)
    distributions = json.loads(must(python, "-c", COUNT, cwd=tmp_path))
    assert "pepeunit" in distributions
    assert len(distributions) <= 8, distributions
    assert must(python, "-c", "from pepeunit import Unit; print(Unit.__name__)", cwd=tmp_path) == "Unit\n"
    pepeunit = python.parent / "pepeunit"
    assert "0.1.0" in must(pepeunit, "--version", cwd=tmp_path)
    must(pepeunit, "device", "--help", cwd=tmp_path)
    for group, extra in {
        "gateway": "gateway",
        "unit": "tools",
        "repo": "tools",
        "node": "tools",
        "login": "tools",
    }.items():
        refused = run(pepeunit, group, cwd=tmp_path)
        assert refused.returncode != 0
        install = f"pip install '.[{extra}]' in a checkout of Pepeunit"
        assert refused.stderr == f'pepeunit {group} needs the extra "{extra}": {install}\n'
