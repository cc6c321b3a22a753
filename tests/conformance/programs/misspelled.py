"""Two handlers that nothing can reach, beside one that works."""

from pepeunit import Unit

unit = Unit()


@unit.on_input("fan_state/pepeunit")
async def misspelled(message):
    raise AssertionError(message.text)


@unit.on_command("update")
async def no_command(message):
    raise AssertionError(message.text)


@unit.on_input("ask/pepeunit")
async def answer(message):
    await unit.publish("told/pepeunit", message.text)


unit.run()
