"""Counts: at the broker and, connected or not, in a file."""

from pepeunit import Unit

unit = Unit()
count = 0


@unit.every(seconds=0.1)
async def tick():
    global count
    count += 1
    with open("count.txt", "w") as file:
        file.write(str(count))
    await unit.publish("count/pepeunit", count)


unit.run()
