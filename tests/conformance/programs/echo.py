"""Tells what each Input received: the bytes as they are, and how the message looked (its first 16 characters)."""

from pepeunit import Unit

unit = Unit()


@unit.on_input("first/pepeunit")
@unit.on_input("second")
async def tell(message):
    await unit.publish("bytes", message.payload)
    await unit.publish("told/pepeunit", [message.name, message.topic, message.text[:16]])


unit.run()
