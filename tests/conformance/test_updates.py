"""From a push to the new version on the device, and what it leaves on its disk."""

import json

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCHEMA = {"outputs": ("version/pepeunit",)}


async def told(observer, stage):
    """What the program tells of itself at its next connection."""
    ((_, payload),) = await observer.hears()
    main, part, speed, installed = json.loads(payload)
    assert installed == stage.tree.head()
    return main, part, speed


async def first_version(stage):
    device = await stage.install(
        "versioned", SPEED=3, files={"part.py": "VERSION = 1\n", "only_in_first.txt": "1"}, **SCHEMA
    )
    assert device.files() == {
        "main.py",
        "part.py",
        "only_in_first.txt",
        "env.json",
        "schema.json",
        "env_example.json",
        "schema_example.json",
    }
    return device


def second_version(stage):
    stage.write("versioned", {"main 1": "main 2"})
    stage.tree.write("part.py", "VERSION = 2\n")
    stage.tree.write("lib/second.py", "LIST = [2]\n" * 500)
    (stage.tree.folder / "only_in_first.txt").unlink()


async def test_a_push_replaces_the_program_and_removes_what_the_new_version_lacks(stage):
    """S2, S3, and what was typed stays."""
    device = await first_version(stage)
    observer = await stage.observe(hears=("version/pepeunit",))
    await stage.start()
    assert await told(observer, stage) == ("main 1", "part 1", 3)
    (device.folder / "mine.txt").write_text("of the user")
    await stage.type_env(SPEED=8)

    second_version(stage)
    second = await stage.push("second")
    assert await told(observer, stage) == ("main 2", "part 2", 8)
    await stage.reports(second, status="Success")
    assert device.codes == [75]
    files = device.files()
    # the first version was unpacked by hand: what of it is gone from the second is not known, and stays
    assert {"lib/second.py", "only_in_first.txt", "mine.txt"} <= files
    assert device.json("env.json")["PU_COMMIT_VERSION"] == second
    brought = set(device.json(".pepeunit/installed.json")["files"]) - {"env.json", "schema.json"}
    assert brought == set(stage.tree.git("ls-tree", "-r", "--name-only", "HEAD").split())

    stage.write("versioned", {"main 1": "main 3"})
    (stage.tree.folder / "lib/second.py").unlink()
    third = await stage.push("third")
    assert await told(observer, stage) == ("main 3", "part 2", 8)
    await stage.reports(third, status="Success")
    assert device.codes == [75, 75]
    assert device.files() <= files
    assert files - device.files() == {"lib/second.py"}
    assert not (device.folder / "lib").exists()
    assert (device.folder / "mine.txt").read_text() == "of the user"
    assert {path.name for path in (device.folder / ".pepeunit").iterdir()} == {"installed.json"}


async def test_an_update_command_that_was_missed_heals_itself_at_the_next_connection(stage):
    device = await first_version(stage)
    observer = await stage.observe(hears=("version/pepeunit",))
    await stage.start()
    assert await told(observer, stage) == ("main 1", "part 1", 3)
    await device.power_off()
    first = stage.tree.head()
    second_version(stage)
    second = await stage.push("second")
    await stage.reports(first, status="RequestSent")
    await stage.commands_are_missed()
    await device.start()
    await stage.reports(second, status="Success")
    (before, after) = await observer.hears(2)
    assert [json.loads(payload)[:3] for _, payload in (before, after)] == [
        ["main 1", "part 1", 3],
        ["main 2", "part 2", 3],
    ]
    assert device.codes == [75]
