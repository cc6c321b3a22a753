"""unit.py: the public API is the one of the CPython package, and what needs no broker works without one."""

import ast
import json

from tests.support.micropython import COMMIT, ROOT, UUID, env, run_script, schema


def public(tree, name):
    cls = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in cls.body if isinstance(node, kinds) and not node.name.startswith("_")}


def parsed(package, module):
    return ast.parse((ROOT / package / "pepeunit" / f"{module}.py").read_text())


def exported(package):
    for node in parsed(package, "__init__").body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return set(ast.literal_eval(node.value))
    raise AssertionError(package)


def test_both_packages_have_the_same_public_names():
    assert exported("sdk_micropython") == exported("sdk_cpython")
    for module, name in (("unit", "Unit"), ("cipher", "Cipher")):
        assert public(parsed("sdk_micropython", module), name) == public(parsed("sdk_cpython", module), name)


def test_every_exported_name_can_be_imported(tmp_path):
    run_script(
        """
import pepeunit
for name in pepeunit.__all__:
    assert getattr(pepeunit, name) is not None
from pepeunit import DELIVERED, DROPPED, QUEUED, ArchiveError, Message, Unit, recover
try:
    pepeunit.Nothing
except AttributeError:
    pass
else:
    raise AssertionError
""",
        tmp_path,
    )


def test_a_unit_knows_itself_and_publishes_into_its_queue_without_a_network(tmp_path):
    (tmp_path / "env.json").write_text(json.dumps(env(FAN_LIMIT=3)))
    (tmp_path / "schema.json").write_text(json.dumps(schema()))
    run_script(
        f"""
import asyncio
from pepeunit import DROPPED, QUEUED, Unit, UnknownNameError

unit = Unit()
assert unit.uuid == {UUID!r} and unit.installed_commit == {COMMIT!r} and unit.env.FAN_LIMIT == 3
assert unit.cipher.decrypt(unit.cipher.encrypt("hä")) == "hä"
assert asyncio.run(unit.publish("temp/pepeunit", 1)) == QUEUED
assert asyncio.run(unit.publish("temp/pepeunit", "x" * 300000)) == DROPPED
for name in ("fan/pepeunit", "gone"):
    try:
        asyncio.run(unit.publish(name, 1))
    except UnknownNameError as error:
        assert "has no Output " + name in str(error) and "temp/pepeunit" in str(error)
    else:
        raise AssertionError(name)
try:
    unit.every(seconds=0)
except ValueError:
    pass
else:
    raise AssertionError
unit.stop()
unit.run()
""",
        tmp_path,
        heap="1m",
    )
    assert json.loads((tmp_path / ".pepeunit" / "installed.json").read_text()) == {"commit": COMMIT, "files": []}


def test_the_folder_may_be_another_one_than_the_present(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "env.json").write_text(json.dumps(env()))
    (home / "schema.json").write_text(json.dumps(schema()))
    run_script(
        """
from pepeunit import Unit
unit = Unit("home/")
unit.log.info("here")
assert unit.directory == "home"
""",
        tmp_path,
    )
    assert "here" in (home / "log.json").read_text()
    assert not (tmp_path / ".pepeunit").exists()
