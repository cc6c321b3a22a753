"""MQTT and REST of the CPython SDK over verified TLS. Source: decisions.md 9."""

import asyncio
import contextlib
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pepeunit import DELIVERED, EnvError, Unit
from pepeunit.tls import tls_context
from tests.support.cpython_unit import DEADLINE, QUICK, lay_out, logs, running
from tests.support.device_broker import DeviceBroker
from tests.support.device_server import DeviceServer
from tests.support.micropython import COMMIT, DOMAIN, NODES, UUID, env, schema

TARGET = "/units/get_target_version/{unit}"


def certificate(directory, address="127.0.0.1"):
    """A self-signed certificate for an address: the path of certificate and key, and the certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = directory / f"{address}.pem"
    path.write_bytes(pem + secret)
    return path, pem.decode()


@contextlib.asynccontextmanager
async def tls_before(port, context):
    """A TLS server that passes everything on to a plain port; its own port."""

    async def pour(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        writer.close()

    tasks = set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pour(reader, up_writer), pour(up_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def place(tmp_path):
    """(make, broker, server, certificate as PEM): broker and gateway behind TLS, `make` lays a unit out."""
    path, pem = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    async with (
        DeviceBroker(tmp_path) as broker,
        DeviceServer(UUID, context) as server,
        tls_before(broker.port, context) as port,
    ):
        server.json(TARGET, {"commit": COMMIT, "tag": None})

        def make(ca_cert):
            values = env(server.port, port, PU_HTTP_TYPE="https", PU_MQTT_TLS=True, PU_CA_CERT=ca_cert)
            return Unit(lay_out(tmp_path / "unit", values, schema()), pace=QUICK)

        yield make, broker, server, pem


async def test_broker_and_gateway_are_reached_over_tls_with_the_certificate_of_env(place):
    make, broker, server, pem = place
    unit = make(pem)
    seen = asyncio.Queue()
    unit.on_input("fan/pepeunit")(seen.put)
    connected = asyncio.Event()

    @unit.on_connect
    async def there():
        connected.set()

    big = "x" * 100_000
    async with running(unit):
        async with asyncio.timeout(DEADLINE):
            await connected.wait()
        assert await unit.publish("temp/pepeunit", big) == DELIVERED
        for _ in range(5):
            await broker.send(f"{DOMAIN}/{NODES['fan/pepeunit']}/pepeunit", big)
        for _ in range(5):
            async with asyncio.timeout(DEADLINE):
                assert (await seen.get()).text == big
        await server.until(lambda: TARGET in server.paths())


@pytest.mark.parametrize("ca_cert", ["", "of another"])
async def test_a_server_that_cannot_be_verified_gets_neither_token_nor_message(place, tmp_path, ca_cert):
    make, broker, server, _pem = place
    unit = make(certificate(tmp_path, "127.0.0.2")[1] if ca_cert else "")
    async with running(unit):
        await logs(unit, "certificate verify failed")
        with pytest.raises(Exception, match="certificate verify failed"):
            await unit.storage.load()
    assert broker.connects == []
    assert server.calls == []


def test_a_certificate_may_be_a_file_and_what_is_neither_is_named(tmp_path):
    path, pem = certificate(tmp_path)
    assert tls_context(str(path)).verify_mode is tls_context(pem).verify_mode is ssl.CERT_REQUIRED
    for odd in ("/no/such/file", "-----BEGIN CERTIFICATE-----\nnothing"):
        with pytest.raises(EnvError, match="PU_CA_CERT"):
            tls_context(odd)
