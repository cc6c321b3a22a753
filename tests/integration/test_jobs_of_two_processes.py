"""Jobs of two gateways as operators run them: the one on duty runs what any is asked for, and another when it dies."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway import Api
from tests.support.polling import until
from tests.support.redis import RedisServer
from tests.support.two_gateways import two_gateways


@pytest.fixture
async def pair(tmp_path):
    with RedisServer(tmp_path / "redis") as redis:
        async with two_gateways(tmp_path, redis) as made:
            yield made


async def ask(pair, gateway):
    assert (await pair.at(gateway, pair.admin).post("/repos/bulk_update")).status == 204


async def counted(pair, gateway):
    """How many runs of `update` a gateway ended, and whether it is on duty, as its metrics tell."""
    api = pair.at(gateway, pair.admin)
    root = Api(api._session, api._base.removesuffix("/api/v1"), api.token)
    families = text_string_to_metric_families((await root.get("/metrics")).body.decode())
    samples = [sample for family in families for sample in family.samples]
    runs = sum(s.value for s in samples if s.name == "pepeunit_job_runs_total" and s.labels["job"] == "update")
    return int(runs), next(s.value for s in samples if s.name == "pepeunit_on_duty")


async def newest(pair, gateway):
    """Whether the last run of `update` is this gateway's, as the other one tells."""
    found = (await pair.at(pair.other(gateway), pair.admin).get("/jobs/runs", {"job": "update"})).body["runs"]
    return bool(found) and f":{gateway.process.http_port}/" in found[0]["holder"]


async def test_w57_no_job_runs_twice_and_w44_who_takes_over_from_a_killed_gateway_goes_on(pair):
    first = await pair.on_duty()
    other = pair.other(first)
    for number, gateway in enumerate((first, other), start=1):
        await ask(pair, gateway)
        await until(lambda: counted(pair, first), lambda found, number=number: found == (number, 1))
    assert await newest(pair, first)
    assert await counted(pair, other) == (0, 0)
    await pair.query(
        "INSERT INTO job_runs (job, start_datetime, outcome, holder) "
        "VALUES ('expiry', now() AT TIME ZONE 'UTC', 'Running', 'one:1/that-dies')"
    )
    fence = first.fence()
    first.kill()
    await ask(pair, other)  # nobody is on duty now
    assert await pair.on_duty(after=fence) is other
    await until(lambda: counted(pair, other), lambda found: found == (1, 1))
    lost = "SELECT outcome FROM job_runs WHERE holder = 'one:1/that-dies'"
    await until(lambda: pair.query(lost), lambda found: found == ["Lost"])
