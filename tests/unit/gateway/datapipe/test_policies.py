from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from pepeunit_gateway.datapipe.batch import Batch
from pepeunit_gateway.datapipe.config import PolicyType
from pepeunit_gateway.datapipe.pipe import compile_pipe
from pepeunit_gateway.datapipe.policies import check_available, keep
from pepeunit_gateway.errors import DataPipeError
from pepeunit_gateway.storage.telemetry import LastValueRow, WindowRow
from tests.support.telemetry import config

NOW = datetime(2025, 6, 1, 12, 0, 0, 900_000, tzinfo=UTC)


def window_pipe(size, input_type="Text"):
    policy = {"policy_type": "TimeWindow", "time_window_size": size}
    return compile_pipe(config(filters={"type_input_value": input_type}, policy=policy))


def test_a_last_value_replaces_the_one_before_in_the_batch():
    batch, pipe, node = Batch(), compile_pipe(config()), uuid4()
    keep(pipe, node, "1", NOW, batch)
    keep(pipe, node, "2", NOW + timedelta(seconds=1), batch)
    assert batch.content().last_values == [LastValueRow(node, "2", NOW + timedelta(seconds=1))]


def test_a_window_row_expires_on_a_whole_second_and_counts_bytes():
    batch, node = Batch(), uuid4()
    keep(window_pipe(60), node, "тест", NOW, batch)
    assert batch.windows == [WindowRow(node, "тест", "Text", NOW, datetime(2025, 6, 1, 12, 1, tzinfo=UTC), 8)]


def test_every_row_has_the_settings_of_its_own_node_w59():
    batch, short, long = Batch(), uuid4(), uuid4()
    keep(window_pipe(60, "Number"), short, "1", NOW, batch)
    keep(window_pipe(86_400), long, "x", NOW, batch)
    whole = NOW.replace(microsecond=0)
    assert [(row.unit_node_uuid, row.state_type, row.expiration_datetime - whole) for row in batch.windows] == [
        (short, "Number", timedelta(minutes=1)),
        (long, "Text", timedelta(days=1)),
    ]


@pytest.mark.parametrize("policy", [PolicyType.N_RECORDS, PolicyType.AGGREGATION])
def test_a_policy_that_comes_later_is_refused_with_what_to_use(policy):
    with pytest.raises(DataPipeError, match="comes with a later version; use LastValue or TimeWindow") as caught:
        check_available(policy)
    assert (caught.value.status, caught.value.code) == (422, 8)


@pytest.mark.parametrize("policy", [PolicyType.LAST_VALUE, PolicyType.TIME_WINDOW])
def test_the_policies_of_this_version_are_available(policy):
    check_available(policy)


def test_a_window_size_of_another_policy_is_ignored():
    pipe = compile_pipe(config(policy={"policy_type": "LastValue", "time_window_size": 60}))
    batch = Batch()
    keep(pipe, uuid4(), "x", NOW, batch)
    assert (len(batch.last_values), batch.windows) == (1, [])
