"""Tells which version of itself runs, one part of which stands in another file."""

from part import VERSION

from pepeunit import Unit

unit = Unit()


@unit.on_connect
async def tell():
    await unit.publish("version/pepeunit", ["main 1", "part %d" % VERSION, unit.env.SPEED, unit.installed_commit])


unit.run()
