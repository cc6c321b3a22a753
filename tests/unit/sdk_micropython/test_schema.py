"""schema.py in the real MicroPython."""

import json

import pytest

from tests.support.micropython import DOMAIN, NODES, UUID, run_script, schema


def test_names_and_topics_lead_to_each_other(tmp_path):
    both = schema()
    both["input_topic"]["temp/pepeunit"] = [f"{DOMAIN}/{NODES['linked']}"]
    (tmp_path / "schema.json").write_text(json.dumps(both))
    run_script(
        f"""
import pepeunit.schema as schema
from pepeunit.errors import UnknownNameError

found = schema.load(".")
FAN, LINKED = {f"{DOMAIN}/{NODES['fan/pepeunit']}/pepeunit"!r}, {f"{DOMAIN}/{NODES['linked']}"!r}
assert found.topics("fan/pepeunit") == (FAN, LINKED)
assert found.topics("temp/pepeunit") == ({f"{DOMAIN}/{NODES['temp/pepeunit']}/pepeunit"!r},), "an Output wins"
assert found.name(FAN) == ("input_topic", "fan/pepeunit")
assert found.node_uuid("fan/pepeunit") == {NODES["fan/pepeunit"]!r}
assert sorted(found.receivers(LINKED)) == ["fan/pepeunit", "temp/pepeunit"]
assert found.command({f"{DOMAIN}/input_base_topic/{UUID}/update/pepeunit"!r}) == "update/pepeunit"
assert found.command(FAN) is None
assert len(found.subscriptions()) == 7 and len(set(found.subscriptions())) == 7
for ask in (found.topics, found.name, found.node_uuid, found.output):
    try:
        ask("gone/x")
    except UnknownNameError as error:
        assert "gone/x" in str(error)
    else:
        raise AssertionError(ask)
""",
        tmp_path,
    )


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"input_topic": []}',
        '{"input_topic": {"a": "x/y"}}',
        '{"input_topic": {"a": [5]}}',
        '{"input_topic": {"a": ["x/#"]}}',
        '{"input_topic": {"a": ["x/+/y"]}}',
        '{"input_topic": {"a": ["flat"]}}',
        '{"input_topic": {"a": ["x/\\u0000"]}}',
    ],
)
def test_a_broken_schema_is_refused(tmp_path, data):
    (tmp_path / "schema.json").write_text(data)
    run_script(
        """
import pepeunit.schema as schema
from pepeunit import SchemaError
try:
    schema.load(".")
except SchemaError as error:
    assert "schema.json" in str(error)
else:
    raise AssertionError
""",
        tmp_path,
    )
