"""Publishes one value of every kind at each connection, and what became of it."""

from pepeunit import DELIVERED, Unit, UnknownNameError

unit = Unit()
VALUES = (
    "text",
    "gr\u00fc\u00df \U0001f600",
    "",
    b"\x00\xff",
    bytearray(b"buffer"),
    42,
    -7,
    21.5,
    True,
    False,
    {"on": True},
    [1, "\u00fc", None, 2.5, {}],
)


async def outcome(name, value):
    try:
        return await unit.publish(name, value)
    except (TypeError, UnknownNameError) as error:
        return type(error).__name__


@unit.on_connect
async def publish_all():
    outcomes = []
    for value in VALUES:
        if await outcome("value", value) != DELIVERED:
            outcomes.append(value)
    for name, value in (("value", None), ("value", {1, 2}), ("nowhere", "text")):
        outcomes.append(await outcome(name, value))
    await unit.publish("outcome/pepeunit", outcomes)


unit.run()
