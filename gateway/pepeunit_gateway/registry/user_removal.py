"""What goes with a user who is deleted: units, nodes, edges, Repos, permissions, tokens, stored credentials.

Registered repositories stay, with nobody as their creator: others' Repos may use them. How many statements run does not
depend on how many rows there are.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, exists, or_, select, union

from pepeunit_gateway.access.cipher import Cipher
from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.errors import CipherError, UserError
from pepeunit_gateway.registry.context import Act
from pepeunit_gateway.registry.credentials import read_slots, write_slots
from pepeunit_gateway.registry.removals import queue_removals
from pepeunit_gateway.storage.tables import (
    permissions,
    repos,
    repository_registry,
    units,
    units_nodes,
    units_nodes_edges,
    users,
)

__all__ = ["remove_user"]


async def remove_user(act: Act, cipher: Cipher, user: UUID) -> None:
    """Delete the row of a user and everything of theirs, and announce whom that concerns.

    Raises:
        UserError: their Repos have units of other people.
    """
    await _check_no_strangers(act, user)
    own = set((await act.connection.execute(select(units.c.uuid).where(units.c.creator_uuid == user))).scalars())
    nodes = set((await act.connection.execute(_nodes_of(user))).scalars())
    others = set((await act.connection.execute(_concerned(user))).scalars()) - own - {None}
    await queue_removals(act, units=own, nodes=nodes)
    await _forget_credentials(act, cipher, user)
    await act.connection.execute(users.delete().where(users.c.uuid == user))  # foreign keys take the rest along
    act.announce(Change.UNIT_REMOVED, own)
    act.announce(Change.ACCESS, others)
    act.announce(Change.NODE, nodes)


async def _check_no_strangers(act: Act, user: UUID) -> None:
    theirs = or_(units.c.creator_uuid != user, units.c.creator_uuid.is_(None))
    used = select(repos.c.name).where(
        repos.c.creator_uuid == user, exists().where(units.c.repo_uuid == repos.c.uuid, theirs)
    )
    name = (await act.connection.execute(used.order_by(repos.c.name).limit(1))).scalar_one_or_none()
    if name is not None:
        raise UserError(f"the Repo {name} has units of other people; they must be deleted first", conflict=True)


def _nodes_of(user: UUID) -> Select[Any]:
    return (
        select(units_nodes.c.uuid)
        .join(units, units_nodes.c.unit_uuid == units.c.uuid)
        .where(or_(units.c.creator_uuid == user, units_nodes.c.creator_uuid == user))
    )


def _concerned(user: UUID) -> Any:
    """Select the units that lose something: an edge of the user or with a node of theirs, or a permission on one."""
    edge = units_nodes_edges
    mine = _nodes_of(user)
    ends = (edge.c.node_output_uuid, edge.c.node_input_uuid)
    gone = or_(edge.c.creator_uuid == user, *(end.in_(mine) for end in ends))
    linked = [select(units_nodes.c.unit_uuid).join(edge, end == units_nodes.c.uuid).where(gone) for end in ends]
    permitted = select(permissions.c.agent_unit_uuid).where(
        permissions.c.agent_unit_uuid.is_not(None), permissions.c.resource_unit_node_uuid.in_(mine)
    )
    return union(*linked, permitted)


async def _forget_credentials(act: Act, cipher: Cipher, user: UUID) -> None:
    table, column = repository_registry, repository_registry.c.cipher_credentials_private_repository
    rows = (await act.connection.execute(select(table.c.uuid, column).where(column.is_not(None)))).all()
    left: list[dict[str, Any]] = []
    for row in rows:
        try:
            slots = read_slots(cipher, row.cipher_credentials_private_repository)
        except CipherError:
            continue  # encrypted with a key that is gone: nobody can use it
        if user in slots:
            del slots[user]
            left.append({"registry": row.uuid, "slots": write_slots(cipher, slots)})
    if left:
        changed = table.update().where(table.c.uuid == bindparam("registry")).values({column: bindparam("slots")})
        await act.connection.execute(changed, left)
