"""Publishes until the broker is away; then three values at once, of which the last must arrive later."""

from pepeunit import QUEUED, Unit

unit = Unit()
connects = 0
beats = 0
done = False


@unit.every(seconds=0.1)
async def beat():
    global beats, done
    if done:
        return
    beats += 1
    with open("beats.txt", "w") as file:
        file.write(str(beats))
    if await unit.publish("beat/pepeunit", "alive") != QUEUED or not connects:
        return
    done = True
    results = []
    for value in ("one", "two", "three"):
        results.append(await unit.publish("value/pepeunit", value))
    with open("results.txt", "w") as file:
        file.write(" ".join(results))


@unit.on_connect
async def connected():
    global connects
    connects += 1
    await unit.publish("connects/pepeunit", connects)


unit.run()
