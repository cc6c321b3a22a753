"""Tells its settings when asked."""

from pepeunit import Unit

unit = Unit()


@unit.on_input("ask/pepeunit")
async def tell(message):
    env = unit.env
    known = [env.SPEED, env["PLACE"], env.get("ABSENT", "no such key"), "PLACE" in env]
    await unit.publish("settings/pepeunit", [message.text] + known)
    await unit.publish("commits/pepeunit", [env.PU_COMMIT_VERSION, unit.installed_commit])


unit.run()
