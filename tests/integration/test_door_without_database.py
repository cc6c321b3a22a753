"""The door decides about every message from memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event

from tests.support.field_unit import FieldUnit, eventually
from tests.support.rest_world import world
from tests.support.sample_program import make_unit

BOTH_DATABASES = True
MESSAGES = 20


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every SQL statement of this process in the block."""
    seen: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_w45_messages_and_subscriptions_of_a_connected_unit_ask_no_database(tmp_path):
    """W45: each was an HTTP request with a token to check and two or three queries."""
    async with world(tmp_path, repo_poll_interval=3600) as stage:
        made = [(await make_unit(stage.alice, stage.repo["uuid"], name))["uuid"] for name in ("unit-1", "unit-2")]
        with statements() as seen:
            unit = await FieldUnit.connect(stage.gateway, stage.alice, made[0])
            other = await FieldUnit.connect(stage.gateway, stage.alice, made[1])
        assert seen, "what is counted shows that it is counted"
        foreign = other.topic("output_topic", "raw_out")

        async def asked_for_a_round() -> int:
            with statements() as seen:
                for _ in range(MESSAGES):
                    await unit.publish(unit.topic("output_topic", "raw_out"), b"1")
                    await unit.publish(foreign, b"forged")
                assert await unit.subscribe(unit.topic("input_topic", "raw_in"), foreign) == [True, False]
            return len(seen)

        await eventually(asked_for_a_round, 0)  # the jobs have work of their own to end first
