"""Who may do what with a unit node and the edges at it. Source: decisions.md 1, 2 and 16; W3 and W8.

`permitted` is always a fact that the caller loaded: a permission row names the agent, or, for a Unit, an edge joins the
node with one of its own. The creator needs no row; an Admin deletes edges and has no other rights here.
"""

from uuid import UUID

from pepeunit_gateway.access.agents import Agent, AgentType
from pepeunit_gateway.access.rules import require_token, require_user
from pepeunit_gateway.errors import NoAccessError

__all__ = [
    "may_read_pipe_with_node",
    "may_read_telemetry",
    "may_set_input",
    "require_edge_remover",
    "require_linker",
    "require_pipe_reader",
    "require_setter",
    "require_telemetry_reader",
]


def may_set_input(agent: Agent, *, creator_uuid: UUID | None, is_rewritable: bool, permitted: bool) -> bool:
    """Tell whether `agent` may publish a value into an Input: a User, or a Unit where the Input is rewritable."""
    if agent.is_user(creator_uuid):
        return True
    if agent.type is AgentType.UNIT:
        return permitted and is_rewritable
    return agent.type is AgentType.USER and permitted


def require_setter(agent: Agent, *, creator_uuid: UUID | None, is_rewritable: bool, permitted: bool) -> None:
    """Let only those pass who may set the Input.

    Raises:
        UnauthorizedError, NoAccessError: not this agent.
    """
    require_token(agent)
    if not may_set_input(agent, creator_uuid=creator_uuid, is_rewritable=is_rewritable, permitted=permitted):
        raise NoAccessError("you may not set this Input")


def require_linker(agent: Agent, *, creator_uuid: UUID | None, permitted: bool) -> UUID:
    """Let only those pass who may lead an edge into an Input; return the User's uuid.

    The Output at the other end needs no more than sight (`rules.may_see`, acting).
    """
    user = require_user(agent)
    if not (agent.is_user(creator_uuid) or permitted):
        raise NoAccessError("only the Input's creator or a User it was granted to may link it")
    return user


def require_edge_remover(
    agent: Agent, *, edge_creator: UUID | None, output_creator: UUID | None, input_creator: UUID | None
) -> UUID:
    """Let only those pass who may delete an edge: who made it, the creator of either node, and an Admin.

    Return their uuid.
    """
    user = require_user(agent)
    if not agent.is_admin and user not in (edge_creator, output_creator, input_creator):
        raise NoAccessError("only the creator of the edge or of one of its nodes may delete it")
    return user


def may_read_pipe_with_node(agent: Agent, *, creator_uuid: UUID | None, unit_uuid: UUID) -> bool:
    """Tell whether `agent` gets the configuration of the pipe with the node: its creator, and the unit itself (W8).

    Users with a permission ask for it by itself, see `require_pipe_reader`.
    """
    return agent.is_user(creator_uuid) or agent.is_unit(unit_uuid)


def may_read_telemetry(agent: Agent, *, creator_uuid: UUID | None, unit_uuid: UUID, permitted: bool) -> bool:
    """Tell whether `agent` may read the stored values of a node (W8).

    Args:
        agent: who asks.
        creator_uuid: the node's creator.
        unit_uuid: the unit the node belongs to.
        permitted: a permission row on the node names the agent, or an edge carries the node to the asking Unit.
    """
    if agent.is_user(creator_uuid) or agent.is_unit(unit_uuid):
        return True
    return agent.type in (AgentType.USER, AgentType.UNIT) and permitted


def require_telemetry_reader(agent: Agent, *, creator_uuid: UUID | None, unit_uuid: UUID, permitted: bool) -> None:
    """Let only those pass who may read the stored values.

    Raises:
        UnauthorizedError, NoAccessError: not this agent.
    """
    require_token(agent)
    if not may_read_telemetry(agent, creator_uuid=creator_uuid, unit_uuid=unit_uuid, permitted=permitted):
        raise NoAccessError("only the node's creator and whom it was granted to may read its values")


def require_pipe_reader(agent: Agent, *, creator_uuid: UUID | None, permitted: bool) -> None:
    """Let only those pass who may read a pipe's configuration: Users who may read the node's values (W8).

    Raises:
        UnauthorizedError, NoAccessError: not this agent.
    """
    require_user(agent)
    if not (agent.is_user(creator_uuid) or permitted):
        raise NoAccessError("only the node's creator and Users it was granted to may read its pipe's configuration")
