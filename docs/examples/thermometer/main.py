"""A thermometer with a fan: this file runs unchanged on MicroPython and on CPython.

Outputs: the temperature, what the fan was told last, the interpreter and the version of this program.
Input: what the fan is told; link another unit's temperature to it and the fan follows that.
"""

import sys

from sensor import Sensor

from pepeunit import Unit

PROGRAM_VERSION = "1.0.0"

unit = Unit()
sensor = Sensor()


@unit.on_input("set_fan_state/pepeunit")
async def set_fan_state(message):
    # A board would switch a pin here. The answer lets everybody see that the value has arrived.
    await unit.publish("fan_state/pepeunit", message.text)


@unit.every(seconds=unit.env.PUBLISH_SEND_INTERVAL)
async def report():
    await unit.publish("current_temp/pepeunit", sensor.read())


@unit.every(seconds=unit.env.ABOUT_SEND_INTERVAL)
async def introduce():
    await unit.publish("runtime/pepeunit", sys.implementation.name)
    await unit.publish("program_version/pepeunit", PROGRAM_VERSION)


unit.log.info("thermometer " + PROGRAM_VERSION + " starts on " + sys.implementation.name)
unit.run()
