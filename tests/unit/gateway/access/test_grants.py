"""What a unit may publish and receive: every kind of node, written by hand (W3)."""

from dataclasses import replace
from uuid import UUID

from pepeunit_gateway.access.grants import GrantedNode, build_grants

UNIT = UUID("00000000-0000-4000-8000-000000000001")
BASE_PUBLISH = {f"d/output_base_topic/{UNIT}/state/pepeunit", f"d/output_base_topic/{UNIT}/log/pepeunit"}
BASE_SUBSCRIBE = {
    f"d/input_base_topic/{UNIT}/{name}/pepeunit"
    for name in ("update", "env_update", "schema_update", "log_sync", "reset")
}


def node(number: int, *, name: str = "x/pepeunit", output: bool, own: bool, rewritable: bool = False) -> GrantedNode:
    return GrantedNode(UUID(int=number), name, output, own, rewritable)


def test_a_unit_without_nodes_has_its_base_topics_and_nothing_else():
    grants = build_grants("d", UNIT, [])
    assert grants.publish == BASE_PUBLISH
    assert grants.subscribe == BASE_SUBSCRIBE


def test_every_kind_of_node_grants_exactly_one_direction_or_none():
    nodes = [
        node(1, output=True, own=True),
        node(2, output=False, own=True),
        node(3, output=False, own=True, rewritable=True),
        node(4, output=True, own=False),
        node(5, output=False, own=False, rewritable=True),
        node(6, output=False, own=False),
        node(7, name="plain", output=True, own=True),
    ]
    grants = build_grants("d", UNIT, nodes)
    assert grants.publish - BASE_PUBLISH == {
        f"d/{UUID(int=1)}/pepeunit",
        f"d/{UUID(int=5)}/pepeunit",
        f"d/{UUID(int=7)}",
    }
    assert grants.subscribe - BASE_SUBSCRIBE == {
        f"d/{UUID(int=2)}/pepeunit",
        f"d/{UUID(int=3)}/pepeunit",
        f"d/{UUID(int=4)}/pepeunit",
    }


def test_a_unit_that_was_told_another_domain_has_the_same_topics_there_too():
    grants = build_grants("d", UNIT, [node(1, output=True, own=True), node(4, output=True, own=False)], told_domain="o")
    here = {topic for topic in grants.publish | grants.subscribe if topic.startswith("d/")}
    assert here == BASE_PUBLISH | BASE_SUBSCRIBE | {f"d/{UUID(int=1)}/pepeunit", f"d/{UUID(int=4)}/pepeunit"}
    assert grants.publish | grants.subscribe == here | {"o" + topic[1:] for topic in here}
    assert f"o/{UUID(int=4)}/pepeunit" in grants.subscribe - grants.publish


def test_what_a_late_unit_publishes_is_granted_to_who_hears_it_and_nothing_more():
    late = replace(node(4, output=True, own=False), told_domain="o")
    grants = build_grants("d", UNIT, [late, node(2, output=False, own=True)])
    beside = {topic for topic in grants.publish | grants.subscribe if not topic.startswith("d/")}
    assert beside == {f"o/{UUID(int=4)}/pepeunit"} == beside & grants.subscribe
