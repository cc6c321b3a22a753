"""Keeps a text at the gateway, and encrypts and decrypts."""

from pepeunit import CipherError, Unit

unit = Unit()


@unit.on_input("save/pepeunit")
async def save(message):
    await unit.storage.save(message.text)
    loaded = await unit.storage.load()
    await unit.publish("stored/pepeunit", ["same" if loaded == message.text else "another", loaded])


@unit.on_input("seal/pepeunit")
async def seal(message):
    await unit.publish("sealed/pepeunit", unit.cipher.encrypt(message.text))


@unit.on_input("open/pepeunit")
async def unseal(message):
    try:
        text = unit.cipher.decrypt(message.text)
    except CipherError:
        text = "refused"
    await unit.publish("opened/pepeunit", text)


unit.run()
