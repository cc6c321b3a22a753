"""Jobs over REST and in the metrics: what ran, what failed, and asking for a run."""

from uuid import UUID

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pepeunit_gateway.registry.audit import Audit
from pepeunit_gateway.storage.tables import units
from tests.support.gateway import GatewayUnderTest
from tests.support.polling import until
from tests.support.rest_world import world
from tests.support.sample_program import make_unit

BOTH_DATABASES = True


@pytest.fixture
async def gateway(tmp_path):
    async with GatewayUnderTest(tmp_path, metrics_token="metrics") as gateway:
        yield gateway


async def runs(api, **params):
    reply = await api.get("/jobs/runs", params)
    assert reply.status == 200, reply.body
    return reply.body["runs"]


async def ask(api, job):
    assert (await api.post(f"/jobs/{job}/run")).status == 204


async def ended(api, job, *expected):
    """Wait until these are the newest outcomes of a job, the newest first."""

    async def newest():
        return [run["outcome"] for run in await runs(api, job=job)][: len(expected)]

    await until(newest, lambda found: found == list(expected))


async def metrics(gateway):
    root = type(gateway.nobody)(gateway.nobody._session, gateway.origin + "/pepeunit")
    reply = await root.call("GET", "/metrics", headers={"Authorization": "Bearer metrics"})
    families = {family.name: family for family in text_string_to_metric_families(reply.body.decode())}
    return {
        name: {tuple(one.labels.values()): one.value for one in family.samples} for name, family in families.items()
    }


async def test_every_job_is_listed_with_its_schedule_and_its_last_run(gateway):
    admin = await gateway.admin()
    await ended(admin, "expiry", "Idle")
    await ended(admin, "fetch", "Idle")
    jobs = {job["name"]: job for job in (await admin.get("/jobs")).body}
    assert [(name, job["schedule"], job["is_everywhere"]) for name, job in jobs.items()] == [
        ("fetch", "every 60 s", True),
        ("update", "0 * * * * (UTC)", False),
        ("expiry", "every 60 s", False),
        ("cleanup", "30 3 * * * (UTC)", True),
    ]
    assert jobs["cleanup"]["last_run"] is None
    assert jobs["cleanup"]["next_run_datetime"].endswith(("T03:30:00Z", "T03:30:00+00:00"))
    last = jobs["expiry"]["last_run"]
    assert (last["outcome"], last["error"], last["details"], jobs["expiry"]["is_running"]) == (
        "Idle",
        None,
        None,
        False,
    )
    assert last["holder"].partition("/")[0].endswith(f":{gateway.given.http_port}")
    assert jobs["expiry"]["next_run_datetime"] > last["start_datetime"]


async def test_runs_are_filtered_and_paged_newest_first(gateway):
    admin = await gateway.admin()
    for job in ("update", "cleanup"):
        await ask(admin, job)
        await ended(admin, job, "Idle")
    found = await runs(admin)
    assert {run["job"] for run in found} == {"fetch", "update", "expiry", "cleanup"}
    assert [run["start_datetime"] for run in found] == sorted((run["start_datetime"] for run in found), reverse=True)
    assert [run["job"] for run in await runs(admin, limit=1, offset=1)] == [found[1]["job"]]
    assert await runs(admin, outcome="Failed") == []
    assert {run["job"] for run in await runs(admin, job="update", outcome="Idle")} == {"update"}
    assert (await admin.get("/jobs/runs", {"job": "tidy"})).status == 422


async def test_w57_a_failing_job_shows_in_rest_and_metrics_and_the_next_run_comes(gateway, monkeypatch):
    admin = await gateway.admin()
    await ended(admin, "expiry", "Idle")

    async def broken(_):
        raise OSError("broken")

    with monkeypatch.context() as patched:
        patched.setattr(Audit, "expire", broken)
        await ask(admin, "expiry")
        await ended(admin, "expiry", "Failed")
    (failed,) = await runs(admin, outcome="Failed")
    assert failed["error"] == "OSError; the log of the gateway says more"
    counted = await metrics(gateway)
    assert counted["pepeunit_job_runs"]["expiry", "Failed"] == 1
    assert counted["pepeunit_job_runs"]["expiry", "Idle"] == 1
    assert counted["pepeunit_on_duty"][()] == 1
    await ask(admin, "expiry")
    await ended(admin, "expiry", "Idle", "Failed")
    again = await metrics(gateway)
    name = "pepeunit_job_last_success_timestamp_seconds"
    assert again[name]["expiry",] > counted[name]["expiry",] > 0


async def test_w50_the_job_update_commands_only_units_that_do_not_run_their_target(tmp_path):
    async with world(tmp_path, repo_poll_interval=3600.0) as stage:
        made = [await make_unit(stage.alice, stage.repo["uuid"], name) for name in ("behind", "current", "unseen")]
        async with stage.gateway.registry.context.database.write() as connection:
            for unit, commit in zip(made, ("0" * 40, stage.tree.head(), None), strict=True):
                mine = units.update().where(units.c.uuid == UUID(unit["uuid"]))
                await connection.execute(mine.values(current_commit_version=commit))
        await ask(stage.admin, "update")
        await ended(stage.admin, "update", "Done")
        (run,) = await runs(stage.admin, job="update", outcome="Done")
        assert run["details"] == {"commanded": 1}
        states = [(await stage.alice.get(f"/units/{unit['uuid']}")).body["firmware_update_status"] for unit in made]
        assert states == ["RequestSent", None, None]


async def test_a_job_that_there_is_not_is_404_and_who_is_no_admin_asks_for_none(gateway):
    admin, alice = await gateway.admin(), await gateway.user("alice")
    missing = await admin.post("/jobs/tidy/run")
    assert (missing.status, missing.detail) == (
        404, "404: 2: Not Found: there is no job 'tidy'; there are: fetch, update, expiry, cleanup",
    )  # fmt: skip
    assert (await alice.post("/jobs/tidy/run")).status == 403
    assert [(await caller.get("/jobs/runs")).status for caller in (alice, gateway.nobody)] == [403, 401]
