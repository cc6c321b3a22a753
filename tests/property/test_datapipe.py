"""Laws of the pipe: numbers, the stages, and that batching changes nothing."""

import asyncio
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pepeunit_gateway.datapipe.documents import check_config, parse_config
from pepeunit_gateway.datapipe.ingest import Ingest, IngestConfig
from pepeunit_gateway.datapipe.numbers import format_fixed, parse_number
from pepeunit_gateway.datapipe.pipe import compile_pipe
from pepeunit_gateway.datapipe.stages import NodeState, evaluate
from pepeunit_gateway.errors import DataPipeError
from pepeunit_gateway.storage.tables import unit_logs, units, units_nodes, window_entry
from pepeunit_gateway.storage.telemetry import TelemetryStore
from tests.support.databases import open_database
from tests.support.telemetry import BORN, add_node, add_unit, config, rows_of

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
PAYLOADS = st.binary(max_size=12) | st.floats().map(lambda n: repr(n).encode()) | st.text(max_size=8).map(str.encode)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_is_read_back_from_its_text(number):
    assert parse_number(repr(number)) == number


@given(st.text(max_size=20) | st.from_regex(re.compile(r"[+-]?[0-9a-fxp._einf]{0,12}"), fullmatch=True))
def test_what_is_read_as_a_number_python_reads_alike(text):
    number = parse_number(text)
    if number is not None and "x" not in text.lower():
        assert number == float(text) or math.isnan(number)


@given(st.floats(), st.integers(0, 7))
def test_what_is_printed_can_be_read_again(number, decimals):
    text = format_fixed(number, decimals)
    again = parse_number(text)
    assert again is not None
    assert format_fixed(again, decimals) == text


FILTERS = st.fixed_dictionaries(
    {
        "type_input_value": st.sampled_from(["Text", "Number"]),
        "max_rate": st.sampled_from([0, 1, 5]),
        "last_unique_check": st.booleans(),
        "max_size": st.sampled_from([0, 4]),
        "type_value_threshold": st.sampled_from([None, "Min"]),
        "threshold_min": st.floats(allow_nan=False, allow_infinity=False),
    }
)
TRANSFORMATIONS = st.fixed_dictionaries(
    {},
    optional={
        "multiplication_ratio": st.floats(allow_nan=False, allow_infinity=False),
        "round_decimal_point": st.integers(0, 7),
        "slice_start": st.integers(-9, 9),
        "slice_end": st.integers(-9, 9),
    },
)


@given(FILTERS, TRANSFORMATIONS, PAYLOADS, PAYLOADS)
def test_whatever_is_kept_can_be_stored_and_is_judged_the_same_twice(filters, transformations, payload, last):
    pipe = compile_pipe(config(filters=filters, transformations=transformations))
    state = NodeState(NOON - timedelta(seconds=2), last.decode(errors="replace"))
    verdict = evaluate(pipe, state, payload, NOON)
    assert verdict == evaluate(pipe, state, payload, NOON)
    if verdict.drop is None:
        assert verdict.value.encode().decode() == verdict.value
        assert "\0" not in verdict.value
        if filters["last_unique_check"]:
            assert verdict.value != state.value


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode(errors="replace")))
def test_no_document_raises_anything_but_the_clients_error(document):
    try:
        problems = check_config(document)
    except DataPipeError:
        return
    if not problems:
        parse_config(document)


@dataclass(frozen=True)
class Message:
    """To the place `target` of the fleet, `after` seconds after the one before."""

    target: int
    payload: bytes
    after: float


STATES = st.fixed_dictionaries(
    {}, optional={"freq": st.integers(0, 9), "pu_commit_version": st.sampled_from(["a", "b", None])}
)
LINES = st.lists(
    st.fixed_dictionaries({"level": st.sampled_from(["info", "no"]), "text": st.text(max_size=3)}), max_size=3
)
VALUES = st.sampled_from([b"1", b"2", b"2.0", b"x", b"\xff", b"a\0", b""])
MESSAGES = st.lists(
    st.one_of(
        st.builds(Message, st.integers(0, 3), VALUES, st.sampled_from([0.0, 0.3, 1.0, 7.0])),
        st.builds(Message, st.integers(4, 5), STATES.map(lambda s: json.dumps(s).encode()), st.just(0.1)),
        st.builds(Message, st.integers(6, 7), LINES.map(lambda s: json.dumps(s).encode()), st.just(0.1)),
    ),
    max_size=30,
)
CONFIGS = [
    config(),
    config(filters={"max_rate": 1, "last_unique_check": True}),
    config(policy={"policy_type": "TimeWindow", "time_window_size": 60}),
    config(
        filters={"type_input_value": "Number", "last_unique_check": True},
        policy={"policy_type": "TimeWindow", "time_window_size": 300},
        transformations={"round_decimal_point": 1},
    ),
]


async def _run(database, targets: list[str], messages: list[Message], flush_size: int) -> list[object]:
    """Send the messages, at most `flush_size` at once, and return what the tables hold."""
    arrivals: list[datetime] = []
    ingest = Ingest(
        database,
        TelemetryStore(database),
        IngestConfig("d", flush_size=flush_size, flush_interval=0.001),
        clock=lambda: arrivals[-1],
        on_state=_nobody,
        random=Random(1),
    )
    await ingest.start()
    now, waiting = NOON, []
    for message in messages:
        now += timedelta(seconds=message.after)
        arrivals.append(now)
        task = asyncio.create_task(ingest.on_message(targets[message.target], message.payload))
        await asyncio.sleep(0)  # the message is judged now, at its own time
        waiting.append(task)
        if len(waiting) == flush_size:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
    await ingest.stop()
    return [_comparable(await rows_of(database, table)) for table in (units_nodes, units, window_entry, unit_logs)]


async def _nobody(_unit: UUID, _commit: str | None) -> None:
    """No update is asked for here."""


def _comparable(rows: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    return sorted(({k: v for k, v in row.items() if (k, "level" in row) != ("uuid", True)} for row in rows), key=str)


async def _compare(folder, messages: list[Message], flush_size: int) -> None:
    async with open_database(folder) as database:
        fleet = [await add_unit(database) for _ in range(2)]
        nodes = [await add_node(database, fleet[0], each.model_dump_json()) for each in CONFIGS]
        targets = [f"d/{node}/pepeunit" for node in nodes]
        targets += [f"d/output_base_topic/{unit}/{name}/pepeunit" for name in ("state", "log") for unit in fleet]
        results = []
        for size in (1, flush_size):
            results.append(await _run(database, targets, messages, size))
            async with database.write() as connection:
                await connection.execute(window_entry.delete())
                await connection.execute(unit_logs.delete())
                await connection.execute(units_nodes.update().values(state=None, last_update_datetime=BORN))
                cleared = units.update().values(unit_state_dict=None, current_commit_version=None)
                await connection.execute(cleared.values(last_update_datetime=BORN))
    assert results[0] == results[1]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return lambda: tmp_path_factory.mktemp("fleet")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages=MESSAGES, flush_size=st.integers(2, 12))
def test_a_batched_result_equals_one_by_one(folders, messages, flush_size):
    asyncio.run(_compare(folders(), messages, flush_size))
