"""Logs a text at every level, and ends when it is told so."""

from pepeunit import Unit

unit = Unit()


@unit.on_input("say/pepeunit")
async def say(message):
    unit.log.debug("debug " + message.text)
    unit.log.info("info " + message.text)
    unit.log.warning("warning " + message.text)
    unit.log.error("error " + message.text)
    unit.log.critical("critical " + message.text)


@unit.on_input("stop/pepeunit")
async def stop(message):
    unit.log.info("good-bye " + message.text)
    await unit.publish("last/pepeunit", message.text)
    unit.stop()


unit.run()
