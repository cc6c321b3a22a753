"""`pepeunit device run`: a push that cannot even start does not put the unit out for good. CPython only."""

import pytest

from tests.support.cpython_unit import program
from tests.support.field_unit import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def sdk():
    return "cpython"


@pytest.mark.parametrize(
    "bad", ["def broken(:\n", "import no_such_module\n", "from pepeunit import Unit\nUnit().env.NO_SUCH_KEY\n"]
)
async def test_the_mend_of_a_version_that_cannot_start_arrives_by_itself(stage, bad):
    device = await stage.install("idle")
    mended = (stage.tree.folder / "main.py").read_text()
    async with program(device.folder / "main.py", console=device.console) as launcher:
        await stage.reports(stage.tree.head())

        async def crashed():
            return "main.py ended with 1" in device.console.read_text()

        stage.tree.write("main.py", bad)
        broken = await stage.push("broken")
        await eventually(crashed, expected=True, limit=20.0)
        assert device.json(".pepeunit/installed.json")["commit"] == broken
        assert (device.folder / "main.py").read_text() == bad

        stage.tree.write("main.py", mended + "# mended\n")
        mend = await stage.push("mended")
        await stage.reports(mend, status="Success")
        assert launcher.returncode is None
    assert device.json(".pepeunit/installed.json")["commit"] == mend
    console = device.console.read_text()
    assert f"the gateway wants {mend[:10]} instead of {broken[:10]}: fetching it" in console
    assert f"{mend[:10]} is in place" in console
