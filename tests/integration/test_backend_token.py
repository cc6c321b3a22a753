"""The token of a data pipe in the field: recognised where it is let in, and good for nothing over REST (W40)."""

import jwt
import pytest
import pytest_asyncio

from tests.support.field_unit import open_client
from tests.support.gateway import GatewayUnderTest
from tests.support.mqtt import CONNACK, connect_packet

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOTH_DATABASES = True

READS = ("/units", "/repos", "/unit_nodes", "/users", "/audit", "/tokens")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[False, True], ids=["kept out", "let in"])
async def gateway(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    async with GatewayUnderTest(folder, allow_external_datapipe=request.param) as running:
        yield running


def backend(gateway, domain=None):
    claims = {"domain": domain or gateway.settings.domain, "type": "Backend"}
    return jwt.encode(claims, gateway.registry.context.secret)


async def test_it_is_401_where_it_is_not_let_in_and_403_where_it_is(gateway):
    status = 403 if gateway.settings.allow_external_datapipe else 401
    caller = gateway.nobody.with_token(backend(gateway))
    assert [(await caller.get(path)).status for path in READS] == [status] * len(READS)


async def test_one_of_another_domain_is_401(gateway):
    caller = gateway.nobody.with_token(backend(gateway, "elsewhere.example.org"))
    assert [(await caller.get(path)).status for path in READS] == [401] * len(READS)


async def test_the_managed_broker_lets_no_data_pipe_in(gateway):
    client = await open_client(gateway)
    await client.send(connect_packet("a-data-pipe", backend(gateway)))
    assert (await client.expect(CONNACK)).body == b"\x00\x04"
