"""Fails where it is told to, and in a timer."""

from pepeunit import Unit

unit = Unit()


@unit.on_input("work/pepeunit")
async def work(message):
    if message.text == "bad":
        raise ValueError("a bad message")
    await unit.publish("done/pepeunit", message.json()["value"])


@unit.every(seconds=0.2)
async def tick():
    raise KeyError("a broken timer")


unit.run()
