"""What the database makes of a row is what the models of the API would give, on both databases."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from pepeunit_gateway.access.agents import BOT, Agent, AgentType, UserRole
from pepeunit_gateway.access.nodes import may_read_pipe_with_node
from pepeunit_gateway.api.unit_nodes import UnitNodeRead
from pepeunit_gateway.api.units import UnitRead
from pepeunit_gateway.errors import NoAccessError, NotFoundError, UnauthorizedError
from pepeunit_gateway.registry.entities import UnitNode, UnitNodeType, from_row
from pepeunit_gateway.registry.listing import OrderBy, Paging
from pepeunit_gateway.registry.node_reads import NodeFilter, NodeReads
from pepeunit_gateway.registry.unit_filters import UnitFilter
from pepeunit_gateway.registry.unit_reads import UnitReads
from pepeunit_gateway.registry.unit_states import to_unit
from pepeunit_gateway.storage.tables import repos, repository_registry, units, units_nodes, units_nodes_edges, users

BOTH_DATABASES = True

ALICE, BOBBY, REPO = uuid4(), uuid4(), uuid4()
AS_ALICE = Agent(AgentType.USER, ALICE, UserRole.USER)
AS_BOBBY = Agent(AgentType.USER, BOBBY, UserRole.USER)
AS_ADMIN = Agent(AgentType.USER, BOBBY, UserRole.ADMIN)
TEXTS = ('quote " and \\ back', "line\nbreak\ttab\x01\x1f", "žluťoučký 漢字 🐸", "{'%s': %d}", "</script>\u2028", "")
TIMES = (
    datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    datetime(2026, 1, 2, 3, 4, 5, 500000, tzinfo=UTC),
    datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    datetime(2099, 12, 31, 23, 59, 59, 999990, tzinfo=UTC),
)
STATES = (
    None,
    "",
    (
        '{"ifconfig":["192.168.1.2",1,null],"millis":12345,"mem_free":0.1,"mem_alloc":1e22,"freq":160.0,"statvfs":[4096],'
        '"pu_commit_version":"abc"}'
    ),
    (
        '{"ifconfig":[],"millis":0.30000000000000004,"mem_free":null,"mem_alloc":-1.5e-300,"freq":9007199254740993,'
        '"statvfs":[18446744073709551615,{"deep":[true,false]}],"pu_commit_version":null,"unknown":1}'
    ),
    '{"millis":1}',
    '{"pu_commit_version":"\\u00e9 \\ud83d\\ude00"}',
)
BROKEN = (
    "{",
    "[]",
    "1",
    "null",
    '{"millis":NaN}',
    '{"millis":"soon"}',
    '{"ifconfig":{}}',
    "x",
    '{"freq":1e999}',
    "[" * 5000,
)


def _user(uuid: UUID, login: str) -> dict[str, object]:
    secrets = {"hashed_password": "x", "cipher_dynamic_salt": "", "grafana_org_name": uuid}
    return {
        "uuid": uuid, "role": "User", "status": "Verified", "login": login, "create_datetime": TIMES[0], **secrets,
    }  # fmt: skip


@pytest.fixture
async def people(database):
    """Alice and Bobby, and a Repo of Alice."""
    times = {"create_datetime": TIMES[0], "last_update_datetime": TIMES[0]}
    registry = uuid4()
    async with database.act() as connection:
        await connection.execute(users.insert(), [_user(ALICE, "alice"), _user(BOBBY, "bobby")])
        row = {"uuid": registry, "platform": "Git", "repository_url": "http://localhost/x", **times}
        await connection.execute(repository_registry.insert().values(row))
        row = {"uuid": REPO, "name": "sample", "creator_uuid": ALICE, "repository_registry_uuid": registry, **times}
        await connection.execute(repos.insert().values(row))
    return database


def _unit(number: int, **more: object) -> dict[str, object]:
    return {
        "uuid": uuid4(),
        "visibility_level": "Public",
        "name": f"unit-{number:03}",
        "create_datetime": TIMES[number % len(TIMES)],
        "last_update_datetime": TIMES[0],
        "is_auto_update_from_repo_unit": True,
        "creator_uuid": ALICE,
        "repo_uuid": REPO,
        **more,
    }


def _node(unit: object, number: int, **more: object) -> dict[str, object]:
    return {
        "uuid": uuid4(),
        "type": "Input" if number % 2 else "Output",
        "visibility_level": "Public",
        "topic_name": f"topic-{number}",
        "create_datetime": TIMES[number % len(TIMES)],
        "last_update_datetime": TIMES[1],
        "creator_uuid": ALICE,
        "unit_uuid": unit,
        **more,
    }


async def _insert(database, table, *rows):
    async with database.act() as connection:
        for row in rows:
            await connection.execute(table.insert().values(row))


async def _fill(database):
    """Every kind of value in every column that may hold it."""
    made = [_unit(number, unit_state_dict=state) for number, state in enumerate(STATES)]
    made += [
        _unit(
            100 + number,
            is_auto_update_from_repo_unit=False,
            target_firmware_platform=text,
            repo_branch=text,
            repo_commit=text,
            current_commit_version=text,
            firmware_update_status=("RequestSent", "Error", "Success")[number % 3],
            firmware_update_error=text,
            last_firmware_update_datetime=TIMES[number % len(TIMES)],
        )
        for number, text in enumerate(TEXTS)
    ]
    made.append(_unit(200, creator_uuid=None, firmware_update_status=None))
    nodes = [
        _node(
            unit["uuid"],
            number,
            topic_name=f"{'aBcÅ_-/1'[number % 8]}-{number}",
            is_rewritable_input=bool(number % 3),
            is_data_pipe_active=bool(number % 2),
            max_connections=2**31 - 1 - number,
            state=(None, *TEXTS)[number % 7],
            data_pipe_yml=(*TEXTS, None)[number % 7],
            data_pipe_status=None if number % 4 else "Active",
            data_pipe_error=(None, *TEXTS)[number % 7],
            creator_uuid=None if number % 5 == 4 else ALICE,
        )
        for unit in made[:-2]
        for number in range(9)
    ]
    await _insert(database, units, *made)
    await _insert(database, units_nodes, *nodes)


async def _rows(database, query):
    async with database.read() as connection:
        return (await connection.execute(query)).all()


def _node_for(agent, row):
    """What the models give of a node for `agent`."""
    node = from_row(UnitNode, row)
    if not may_read_pipe_with_node(agent, creator_uuid=row.creator_uuid, unit_uuid=row.unit_uuid):
        node = replace(node, data_pipe_yml=None)
    return json.loads(UnitNodeRead.model_validate(node).model_dump_json())


async def _models(database, *, nodes):
    """What the models give for Alice, by uuid."""
    found = await _rows(database, select(units_nodes).order_by(units_nodes.c.type.desc(), units_nodes.c.topic_name))
    models = {}
    for row in await _rows(database, select(units)):
        own = [_node_for(AS_ALICE, node) for node in found if node.unit_uuid == row.uuid] if nodes else []
        models[str(row.uuid)] = json.loads(UnitRead.model_validate(to_unit(row)).model_dump_json())
        models[str(row.uuid)]["unit_nodes"] = own
    return models


@pytest.mark.parametrize("nodes", [False, True], ids=["without nodes", "with nodes"])
async def test_units_are_what_the_models_give(people, nodes):
    await _fill(people)
    wanted = UnitFilter(is_include_output_unit_nodes=nodes)
    page = json.loads(await UnitReads(people).page(AS_ALICE, wanted))
    expected = await _models(people, nodes=nodes)
    if nodes:
        expected = {uuid: unit for uuid, unit in expected.items() if unit["unit_nodes"]}
    assert page["count"] == len(page["units"]) == len(expected)
    for unit in page["units"]:
        assert unit == expected[unit["uuid"]]
        assert unit.keys() == UnitRead.model_fields.keys()


async def test_a_single_unit_is_what_the_model_gives(people):
    await _fill(people)
    reads = UnitReads(people)
    for uuid, expected in (await _models(people, nodes=False)).items():
        assert json.loads(await reads.one(BOT, UUID(uuid))) == expected


async def test_nodes_are_what_the_models_give_and_pipes_are_for_their_owners_w8(people):
    await _fill(people)
    reads = NodeReads(people)
    rows = await _rows(people, select(units_nodes))
    own_unit = Agent(AgentType.UNIT, rows[0].unit_uuid)
    for agent in (AS_ALICE, BOT, own_unit, AS_ADMIN):
        expected = {str(row.uuid): _node_for(agent, row) for row in rows}
        page = json.loads(await reads.page(agent, NodeFilter(paging=Paging(0, 500))))
        assert page["count"] == len(expected)
        assert {node["uuid"]: node for node in page["unit_nodes"]} == expected
        one = str(rows[0].uuid)
        assert json.loads(await reads.one(agent, UUID(one))) == expected[one]
    assert any(row.data_pipe_yml for row in rows)


async def test_a_state_that_is_none_breaks_no_list(people):
    """What something else wrote into the column counts as no state; PostgreSQL itself would refuse it as JSON."""
    await _insert(people, units, *(_unit(number, unit_state_dict=text) for number, text in enumerate(BROKEN)))
    page = json.loads(await UnitReads(people).page(AS_ALICE, UnitFilter()))
    assert [unit["unit_state"] for unit in page["units"]] == [None] * len(BROKEN)


async def test_every_single_filter_gives_the_same_by_a_shared_statement_as_alone(people):
    """A list with one search word more is not of a shared shape, so both ways can be compared."""
    await _fill(people)
    reads, node_reads = UnitReads(people), NodeReads(people)
    unit = (await _rows(people, select(units.c.uuid).where(units.c.name == "unit-001")))[0].uuid
    output, fed = await _rows(people, select(units_nodes.c.uuid).where(units_nodes.c.unit_uuid == unit).limit(2))
    edge = {"uuid": uuid4(), "node_output_uuid": output.uuid, "node_input_uuid": fed.uuid, "creator_uuid": ALICE}
    await _insert(people, units_nodes_edges, edge)
    for number in range(2):  # compiled, then used again
        for filters in (
            {"creator_uuid": (ALICE, BOBBY)[number]},
            {"repo_uuid": (REPO, ALICE)[number]},
            {"is_auto_update_from_repo_unit": bool(number), "order_by_create_date": OrderBy.ASC},
            {"is_include_output_unit_nodes": True, "unit_node_type": [UnitNodeType.INPUT]},
            {"is_include_output_unit_nodes": True, "unit_node_input_uuid": (fed.uuid, output.uuid)[number]},
        ):
            shared = await reads.page(AS_ALICE, UnitFilter(**filters))
            assert shared == await reads.page(AS_ALICE, UnitFilter(**filters, search_string="u")), filters
        for filters in (
            {"unit_uuid": (unit, ALICE)[number]},
            {"output_uuid": (output.uuid, fed.uuid)[number]},
            {"type": [UnitNodeType.OUTPUT], "order_by_create_date": OrderBy.ASC},
        ):
            shared = await node_reads.page(AS_ALICE, NodeFilter(**filters))
            assert shared == await node_reads.page(AS_ALICE, NodeFilter(**filters, search_string="-")), filters


class Counted:
    """Counts the statements of a database."""

    def __init__(self, database):
        self.fetched = 0
        self._fetch = database.fetch
        database.fetch = self

    async def __call__(self, query, **values):
        self.fetched += 1
        return await self._fetch(query, **values)


async def test_rows_are_counted_once_until_an_act_comes_in(people):
    """W46: no second statement for a list whose number of rows cannot have changed."""
    await _insert(people, units, *(_unit(number) for number in range(5)))
    reads, counted = UnitReads(people), Counted(people)

    async def number_of(offset: int) -> tuple[int, int]:
        before = counted.fetched
        page = json.loads(await reads.page(AS_ALICE, UnitFilter(paging=Paging(offset, 2))))
        return page["count"], counted.fetched - before

    assert await number_of(0) == (5, 2)
    assert await number_of(2) == (5, 1)
    assert await number_of(4) == (5, 1), "the last page tells it"
    assert await number_of(6) == (5, 2), "a page without rows does not tell how old the number is"
    await _insert(people, units, _unit(5))
    assert await number_of(0) == (6, 2)
    assert await number_of(2) == (6, 1)


async def test_an_act_that_fails_leaves_the_number_as_it_was(people):
    await _insert(people, units, *(_unit(number) for number in range(3)))
    reads = UnitReads(people)
    wanted = UnitFilter(paging=Paging(0, 2))
    assert json.loads(await reads.page(AS_ALICE, wanted))["count"] == 3

    async def fail():
        async with people.act() as connection:
            await connection.execute(units.insert().values(_unit(3)))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert json.loads(await reads.page(AS_ALICE, wanted))["count"] == 3


async def test_numbers_of_agents_are_not_mixed_up(people):
    await _insert(people, units, *(_unit(n, visibility_level="Private") for n in range(3)), _unit(3), _unit(4))
    reads = UnitReads(people)
    seen = {}
    for name, agent in {"alice": AS_ALICE, "bobby": AS_BOBBY, "admin": AS_ADMIN, "nobody": BOT}.items():
        page = json.loads(await reads.page(agent, UnitFilter(paging=Paging(0, 1))))
        seen[name] = (page["count"], len(page["units"]))
    assert seen == {"alice": (5, 1), "bobby": (2, 1), "admin": (5, 1), "nobody": (2, 1)}


async def test_one_statement_for_all_users_tells_them_apart(people):
    private = _unit(0, visibility_level="Private")
    await _insert(people, units, private)
    reads = UnitReads(people)
    assert json.loads(await reads.one(AS_ALICE, private["uuid"]))["name"] == "unit-000"
    assert json.loads(await reads.one(AS_ADMIN, private["uuid"]))["name"] == "unit-000"
    with pytest.raises(NoAccessError):
        await reads.one(AS_BOBBY, private["uuid"])
    with pytest.raises(UnauthorizedError):
        await reads.one(BOT, private["uuid"])
    with pytest.raises(NotFoundError):
        await reads.one(AS_ALICE, uuid4())
