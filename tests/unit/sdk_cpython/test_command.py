import os
import subprocess
import sys
import venv

import pytest

import pepeunit
from pepeunit import _command
from pepeunit._command import main
from tests.support.cpython_unit import lay_out
from tests.support.micropython import env, schema


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("pepeunit 0.")


def test_no_group_prints_the_help(capsys):
    assert main([]) == 2
    out = capsys.readouterr().out
    for group in ("device", "gateway", "login", "unit", "repo", "node"):
        assert group in out


def test_a_missing_program_is_said_in_one_line(tmp_path, capsys):
    assert main(["device", "run", str(tmp_path / "main.py")]) == 2
    assert capsys.readouterr().err.strip().endswith("give the unit's main.py")


@pytest.mark.parametrize("name", ["env.json", "schema.json"])
def test_a_folder_that_is_no_units_is_said_in_one_line_before_the_program_starts(tmp_path, capfd, name):
    lay_out(tmp_path, env(), schema(), main_py="print('started')")
    (tmp_path / name).unlink()
    assert main(["device", "run", str(tmp_path / "main.py")]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert name in line
    assert "pepeunit unit download NAME DIR" in line


def test_an_update_that_cannot_be_completed_is_said_in_one_line(tmp_path, capsys):
    (tmp_path / "main.py").write_text("")
    (tmp_path / ".pepeunit").mkdir()
    (tmp_path / ".pepeunit/switch.json").write_text("{")
    assert main(["device", "run", str(tmp_path / "main.py")]) == 1
    assert "download the unit's archive" in capsys.readouterr().err


@pytest.fixture
def group(tmp_path, monkeypatch):
    """A made-up group `gateway` whose module is what the test writes."""

    def make(source):
        (tmp_path / "made_up_group.py").write_text(source)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setitem(_command._GROUPS, "gateway", ("made_up_group", "gateway", False))
        sys.modules.pop("made_up_group", None)

    yield make
    sys.modules.pop("made_up_group", None)


def test_a_group_gets_its_arguments_and_gives_the_exit_code(group, capsys):
    group("def main(argv):\n    print(argv)\n    return 4\n")
    assert main(["gateway", "run", "--help"]) == 4
    assert capsys.readouterr().out == "['run', '--help']\n"


def test_a_missing_package_of_an_extra_names_the_extra(group, capsys):
    group("import no_such_distribution\n")
    assert main(["gateway", "run"]) == 2
    expected = "pepeunit gateway needs the extra \"gateway\": pip install '.[gateway]' in a checkout of Pepeunit\n"
    assert capsys.readouterr().err == expected


def test_a_missing_module_of_ours_is_a_mistake_and_not_hidden(group):
    group("import pepeunit.no_such_module\n")
    with pytest.raises(ModuleNotFoundError):
        main(["gateway", "run"])


def test_without_any_extra_every_other_group_names_its_extra_and_device_works(tmp_path):
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    python = tmp_path / "env/bin/python"
    lay_out(tmp_path, env(), schema(), main_py="print('runs')")
    # Only the SDK itself and paho are to be seen, as after `pip install pepeunit`.
    import paho

    site = tmp_path / "site"
    site.mkdir()
    (site / "paho").symlink_to(next(iter(paho.__path__)))
    (site / "pepeunit").symlink_to(next(iter(pepeunit.__path__)))
    environment = {"PYTHONPATH": str(site), "PATH": os.environ["PATH"]}

    def run(*arguments):
        code = "import sys; from pepeunit._command import main; sys.exit(main(sys.argv[1:]))"
        return subprocess.run(
            [python, "-c", code, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    for name, extra in (("gateway", "gateway"), ("login", "tools"), ("unit", "tools"), ("repo", "tools")):
        done = run(name, "anything")
        assert done.returncode == 2
        install = f"pip install '.[{extra}]' in a checkout of Pepeunit"
        assert done.stderr == f'pepeunit {name} needs the extra "{extra}": {install}\n'
    assert run("device", "run", str(tmp_path / "main.py")).stdout == "runs\n"
