"""Who sets, links and reads a node; the cells were written by hand from decisions.md 1, 2 and 16."""

from uuid import UUID

import pytest

from pepeunit_gateway.access.agents import BOT, Agent, AgentType, UserRole
from pepeunit_gateway.access.nodes import (
    may_read_pipe_with_node,
    may_read_telemetry,
    may_set_input,
    require_edge_remover,
    require_linker,
    require_pipe_reader,
    require_setter,
    require_telemetry_reader,
)
from pepeunit_gateway.errors import NoAccessError, UnauthorizedError

CREATOR, UNIT, STRANGER = UUID(int=1), UUID(int=2), UUID(int=9)
AGENTS = {
    "bot": BOT,
    "creator": Agent(AgentType.USER, CREATOR, UserRole.USER),
    "stranger": Agent(AgentType.USER, STRANGER, UserRole.USER),
    "admin": Agent(AgentType.USER, STRANGER, UserRole.ADMIN),
    "user with the unit's uuid": Agent(AgentType.USER, UNIT, UserRole.USER),
    "unit itself": Agent(AgentType.UNIT, UNIT),
    "other unit": Agent(AgentType.UNIT, STRANGER),
    "unit with the creator's uuid": Agent(AgentType.UNIT, CREATOR),
    "gateway": Agent(AgentType.GATEWAY),
}
# who reads without a permission, who with one
READS = {
    False: {"creator", "unit itself"},
    True: {
        "creator",
        "stranger",
        "admin",
        "user with the unit's uuid",
        "unit itself",
        "other unit",
        "unit with the creator's uuid",
    },
}
# (permitted, rewritable) -> who sets an Input; the unit itself holds a row on its nodes from the start
SETS = {
    (False, False): {"creator"},
    (False, True): {"creator"},
    (True, False): {"creator", "stranger", "admin", "user with the unit's uuid"},
    (True, True): {
        "creator",
        "stranger",
        "admin",
        "user with the unit's uuid",
        "unit itself",
        "other unit",
        "unit with the creator's uuid",
    },
}
# who, without a permission and with one, leads an edge into an Input and reads the configuration of its pipe
LINKS = {False: {"creator"}, True: {"creator", "stranger", "admin", "user with the unit's uuid"}}


def outcome(require, name, **facts):
    """Tell who passes: True, or the status of the refusal."""
    try:
        require(AGENTS[name], **facts)
    except UnauthorizedError:
        return 401
    except NoAccessError:
        return 403
    return True


def expected(names, name):
    return True if name in names else 401 if name == "bot" else 403


@pytest.mark.parametrize("permitted", [False, True])
@pytest.mark.parametrize("name", AGENTS)
def test_w8_values_are_read_by_the_creator_the_unit_and_those_they_are_granted_to(name, permitted):
    facts = {"creator_uuid": CREATOR, "unit_uuid": UNIT, "permitted": permitted}
    assert may_read_telemetry(AGENTS[name], **facts) is (name in READS[permitted])
    assert outcome(require_telemetry_reader, name, **facts) == expected(READS[permitted], name)


@pytest.mark.parametrize("permitted", [False, True])
@pytest.mark.parametrize("rewritable", [False, True])
@pytest.mark.parametrize("name", AGENTS)
def test_an_input_is_set_by_users_and_only_if_it_is_rewritable_by_units(name, permitted, rewritable):
    facts = {"creator_uuid": CREATOR, "is_rewritable": rewritable, "permitted": permitted}
    assert may_set_input(AGENTS[name], **facts) is (name in SETS[permitted, rewritable])
    assert outcome(require_setter, name, **facts) == expected(SETS[permitted, rewritable], name)


@pytest.mark.parametrize("permitted", [False, True])
@pytest.mark.parametrize("require", [require_linker, require_pipe_reader])
@pytest.mark.parametrize("name", AGENTS)
def test_only_users_link_an_input_and_read_the_configuration_of_a_pipe(name, require, permitted):
    found = outcome(require, name, creator_uuid=CREATOR, permitted=permitted)
    assert found == expected(LINKS[permitted], name)


@pytest.mark.parametrize("name", AGENTS)
def test_w8_the_configuration_of_a_pipe_comes_with_the_node_for_its_creator_and_its_unit(name):
    found = may_read_pipe_with_node(AGENTS[name], creator_uuid=CREATOR, unit_uuid=UNIT)
    assert found is (name in {"creator", "unit itself"})


@pytest.mark.parametrize("part", ["edge_creator", "output_creator", "input_creator"])
@pytest.mark.parametrize("name", AGENTS)
def test_an_edge_is_deleted_by_who_made_it_and_by_the_creator_of_either_node(name, part):
    somebody = {"edge_creator": UUID(int=5), "output_creator": UUID(int=6), "input_creator": UUID(int=7)}
    assert outcome(require_edge_remover, name, **{**somebody, part: CREATOR}) == expected({"creator", "admin"}, name)
    assert outcome(require_edge_remover, name, **somebody) == expected({"admin"}, name)


@pytest.mark.parametrize("name", ["stranger", "admin"])
def test_what_has_no_creator_belongs_to_nobody(name):
    assert not may_read_telemetry(AGENTS[name], creator_uuid=None, unit_uuid=UNIT, permitted=False)
    nameless = Agent(AgentType.USER, None, UserRole.USER)
    assert not may_read_telemetry(nameless, creator_uuid=None, unit_uuid=UNIT, permitted=False)
    assert not may_set_input(nameless, creator_uuid=None, is_rewritable=True, permitted=False)
    with pytest.raises(NoAccessError):
        require_edge_remover(nameless, edge_creator=None, output_creator=None, input_creator=None)
