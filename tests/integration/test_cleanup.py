"""The job `cleanup`: what nobody needs goes from the disk, and units are served on."""

import os
from uuid import UUID, uuid4

import pytest

from pepeunit_gateway.firmware.refs import REFS_FILE
from pepeunit_gateway.jobs.cleanup import clean_up
from tests.support.rest_world import world
from tests.support.sample_program import make_unit

BOTH_DATABASES = True

AN_HOUR_AGO = -3600.0


@pytest.fixture
async def stage(tmp_path):
    async with world(tmp_path, repo_poll_interval=3600.0) as stage:
        yield stage


def orphan(root):
    """What a registry leaves that was deleted while the gateway was away."""
    uuid = uuid4()
    (root / f"{uuid}.git" / "objects").mkdir(parents=True)
    (root / f"{uuid}.git" / "objects" / "pack").write_bytes(b"x" * 1000)
    (root / f"{uuid}.lock").touch()
    return uuid


async def downloads(stage, unit):
    return (await stage.alice.get(f"/units/firmware/tar/{unit['uuid']}")).status


async def test_mirrors_and_archives_without_a_registry_go_and_units_are_served_on(stage):
    context, unit = stage.gateway.registry.context, await make_unit(stage.alice, stage.repo["uuid"], "unit")
    assert await downloads(stage, unit) == 200
    gone, other, archives = orphan(context.settings.repo_path), uuid4(), context.settings.data_dir / "archives"
    (archives / str(other)).mkdir()
    (archives / str(other) / f"{'0' * 40}.tar.stem").write_bytes(b"y" * 500)
    report = await clean_up(context)
    assert report.details == {"mirrors": 1, "removed_mirrors": 1, "removed_archives": 1, "freed_bytes": 500}
    assert not list(context.settings.repo_path.glob(f"{gone}.*"))
    assert not (archives / str(other)).exists()
    assert await downloads(stage, unit) == 200
    assert (await clean_up(context)).details == {"mirrors": 1}


async def test_history_that_was_rewritten_goes_and_the_unit_gets_the_new_program(stage):
    context, registry = stage.gateway.registry.context, UUID(stage.registry["uuid"])
    first = stage.tree.head()
    stage.tree.write("large.bin", os.urandom(200_000))
    stage.tree.commit("large")
    stage.tree.push()
    sync = f"/repository_registry/update_local_repository/{registry}"
    assert (await stage.alice.patch(sync)).status == 204
    stage.tree.git("reset", "--hard", "--quiet", first)
    stage.tree.write("main.py", "print('small')\n")
    stage.tree.commit("small")
    stage.tree.push()
    assert (await stage.alice.patch(sync)).status == 204
    unit = await make_unit(stage.alice, stage.repo["uuid"], "unit")
    refs = context.mirrors.mirror(registry) / REFS_FILE
    then = refs.stat().st_mtime + AN_HOUR_AGO
    os.utime(refs, (then, then))
    report = await clean_up(context)
    assert report.done["packed_mirrors"] == 1
    assert report.done["freed_bytes"] > 150_000
    assert await downloads(stage, unit) == 200
    assert (await stage.alice.patch(sync)).status == 204


async def test_a_mirror_that_cannot_be_cleaned_is_counted_and_harms_no_other(stage, monkeypatch):
    context = stage.gateway.registry.context
    real = context.mirrors.tidy

    async def tidy(registry, *, now):
        await real(registry, now=now)
        raise PermissionError("read-only")

    monkeypatch.setattr(context.mirrors, "tidy", tidy)
    orphan(context.settings.repo_path)
    report = await clean_up(context)
    assert report.details == {"mirrors": 1, "removed_mirrors": 1, "failed": 1}
