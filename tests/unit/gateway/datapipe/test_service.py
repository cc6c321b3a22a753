"""Who may read stored values; the expected cells were written by hand from decisions.md 2 and 16."""

from uuid import UUID

import pytest

from pepeunit_gateway.access.agents import BOT, Agent, AgentType, UserRole
from pepeunit_gateway.datapipe.service import may_read_data

CREATOR, UNIT = UUID(int=1), UUID(int=2)
STRANGER = UUID(int=9)


@pytest.mark.parametrize(
    ("agent", "granted", "expected"),
    [
        (Agent(AgentType.USER, CREATOR, UserRole.USER), False, True),
        (Agent(AgentType.USER, CREATOR, UserRole.ADMIN), False, True),
        (Agent(AgentType.USER, STRANGER, UserRole.USER), False, False),
        (Agent(AgentType.USER, STRANGER, UserRole.USER), True, False),
        (Agent(AgentType.USER, STRANGER, UserRole.ADMIN), False, False),
        (Agent(AgentType.USER, UNIT, UserRole.USER), False, False),
        (Agent(AgentType.UNIT, UNIT), False, True),
        (Agent(AgentType.UNIT, STRANGER), False, False),
        (Agent(AgentType.UNIT, STRANGER), True, True),
        (Agent(AgentType.UNIT, CREATOR), False, False),
        (Agent(AgentType.GATEWAY), False, False),
        (BOT, False, False),
        (BOT, True, False),
    ],
)
def test_values_are_read_by_the_creator_the_unit_and_those_it_is_granted_to(agent, granted, expected):
    assert may_read_data(agent, creator_uuid=CREATOR, unit_uuid=UNIT, granted=granted) is expected


def test_a_node_without_a_creator_belongs_to_no_user():
    agent = Agent(AgentType.USER, None, UserRole.USER)
    assert not may_read_data(agent, creator_uuid=None, unit_uuid=UNIT, granted=False)
