"""Commands, links and what the gateway keeps for a unit: EnvUpdate, SchemaUpdate, storage, keys."""

import asyncio
import base64
import json
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.support.field_unit import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

ECHO = {"inputs": ("first/pepeunit", "second"), "outputs": ("bytes", "told/pepeunit")}
SETTINGS = {"inputs": ("ask/pepeunit",), "outputs": ("settings/pepeunit", "commits/pepeunit")}


def told(name, topic, text):
    return "told/pepeunit", json.dumps([name, topic, text], separators=(",", ":")).encode()


async def ask(stage, observer, question):
    """What the program says of its settings, and the two commits it knows."""
    await stage.set_input("ask/pepeunit", question)
    (settings, commits) = await observer.hears(2)
    assert (settings[0], commits[0]) == ("settings/pepeunit", "commits/pepeunit")
    return json.loads(settings[1]), json.loads(commits[1])


async def test_s4_env_update_brings_new_values_and_never_another_installed_commit(stage):
    """The target is a commit that cannot run here, so that env.json is ahead of what is installed."""
    device = await stage.install("settings", SPEED=3, PLACE="hall", **SETTINGS)
    observer = await stage.observe(hears=("settings/pepeunit", "commits/pepeunit"))
    await stage.start()
    first = stage.tree.head()
    assert await ask(stage, observer, "1") == (["1", 3, "hall", "no such key", True], [first, first])
    (stage.tree.folder / "main.py").rename(stage.tree.folder / "other.py")
    second = await stage.push("a version that nothing can start")
    await stage.logged("main.py", level="Warning")
    await stage.type_env(SPEED=9, PLACE="yard")
    before = device.json("env.json")
    await stage.command("EnvUpdate")

    async def speed():
        return device.json("env.json")["SPEED"]

    await eventually(speed, 9)
    assert await ask(stage, observer, "2") == (["2", 9, "yard", "no such key", True], [second, first])
    assert device.json("env.json.prev") == before
    assert device.json(".pepeunit/installed.json")["commit"] == first
    assert (await stage.unit())["current_commit_version"] == first
    stage.write("settings")
    third = await stage.push("one that runs")
    await stage.reports(third, status="Success")
    assert await ask(stage, observer, "3") == (["3", 9, "yard", "no such key", True], [third, third])
    assert device.codes == [75]


async def test_a_new_link_is_heard_at_once_and_a_removed_one_no_more(stage):
    """S20: schema.json follows every change, without a restart."""
    device = await stage.install("echo", **ECHO)
    observer = await stage.observe(hears=("told/pepeunit",))
    await stage.start()
    edge = await stage.link(observer.output_uuid, device.nodes["second"]["uuid"])

    async def linked():
        return device.json("schema.json")["input_topic"]["second"][1:]

    await eventually(linked, [observer.output])
    assert await observer.says_until_answered(b"21.5") == told("second", observer.output, "21.5")
    reply = await stage.owner.delete(f"/unit_nodes/edges/{edge}")
    assert reply.status == 204, reply.body
    await eventually(linked, [])
    assert device.json("schema.json.prev")["input_topic"]["second"][1:] == [observer.output]
    first = device.json("schema.json")["input_topic"]["first/pepeunit"][0]
    last = told("first/pepeunit", first, "the last")

    async def back():
        await observer.says(b"not for you")
        await stage.set_input("first/pepeunit", "the last")
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                return await observer.hears_until(last)

    heard = None
    async with asyncio.timeout(15):
        while heard is None:  # a lost right to receive ends the session; the device comes back by itself
            heard = await back()
    assert set(heard) <= {told("second", observer.output, "21.5"), last}
    assert device.codes == []


async def test_a_link_made_while_the_unit_was_off_is_heard_when_it_is_back(stage):
    """A missed SchemaUpdate heals itself, as a missed Update does."""
    device = await stage.install("echo", **ECHO)
    observer = await stage.observe(hears=("told/pepeunit",))
    await stage.start()
    await device.power_off()
    await stage.link(observer.output_uuid, device.nodes["second"]["uuid"])
    await stage.commands_are_missed()
    await device.start()

    async def linked():
        return device.json("schema.json")["input_topic"]["second"][1:]

    await eventually(linked, [observer.output], limit=15.0)

    assert await observer.says_until_answered(b"21.5") == told("second", observer.output, "21.5")


async def test_storage_comes_back_as_it_was_saved_and_the_owner_reads_it(stage):
    names = ("save/pepeunit", "seal/pepeunit", "open/pepeunit")
    await stage.install("keeper", inputs=names, outputs=("stored/pepeunit", "sealed/pepeunit", "opened/pepeunit"))
    observer = await stage.observe(hears=("stored/pepeunit",))
    await stage.start()
    for text in ('line "one"\n\u00fc \\ \U0001f600 \\u00e9', "x" * 1000, ""):
        await stage.set_input("save/pepeunit", text)
        ((_, payload),) = await observer.hears()
        assert json.loads(payload) == ["same", text]
        assert (await stage.owner.get(f"/units/get_state_storage/{stage.device.uuid}")).body == text


async def test_what_one_side_encrypts_the_other_reads(stage):
    names = ("save/pepeunit", "seal/pepeunit", "open/pepeunit")
    device = await stage.install(
        "keeper", inputs=names, outputs=("stored/pepeunit", "sealed/pepeunit", "opened/pepeunit")
    )
    observer = await stage.observe(hears=("sealed/pepeunit", "opened/pepeunit"))
    await stage.start()
    key = AESGCM(base64.b64decode(device.json("env.json")["PU_ENCRYPT_KEY"]))
    secret = "gr\u00fc\u00df dich \U0001f600"
    await stage.set_input("seal/pepeunit", secret)
    ((_, sealed),) = await observer.hears()
    nonce, data = (base64.b64decode(part, validate=True) for part in sealed.split(b"."))
    assert key.decrypt(nonce, data, None).decode() == secret
    nonce = bytes(range(12))
    ours = b".".join(map(base64.b64encode, (nonce, key.encrypt(nonce, secret.encode(), None)))).decode()
    await stage.set_input("open/pepeunit", ours)
    await stage.set_input("open/pepeunit", ours[:-4] + "AAAA")
    assert await observer.hears(2) == [("opened/pepeunit", secret.encode()), ("opened/pepeunit", b"refused")]
