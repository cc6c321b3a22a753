"""Units that stay at a commit, their own or their Repo's, in groups of those that have it in common.

No look at a Repo's newest commit is about them: here it is seen whether their commit is still there, and which of them
were commanded to it and do not report it, as a unit that was away for long. Source: protocol/firmware.md 7.5; W50.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, select

from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.targets import REPO_COLUMNS, select_units
from pepeunit_gateway.registry.verdicts import PENDING
from pepeunit_gateway.storage.tables import repos, units

__all__ = ["load_pins", "load_waiting", "of_pin"]

_COLUMNS = (*REPO_COLUMNS, units.c.is_auto_update_from_repo_unit, units.c.repo_branch, units.c.repo_commit)

_COMMIT = case((units.c.is_auto_update_from_repo_unit, repos.c.default_commit), else_=units.c.repo_commit)

_WAITING = and_(units.c.firmware_update_status.in_(PENDING), units.c.current_commit_version != _COMMIT)
"""It was commanded and reports another commit; one that never reported was never installed."""


async def load_pins(context: Context, which: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """Return the groups of such units of these Repos, in one statement however many units there are.

    Rows hold what `target_of` needs, the Repo's `uuid`, and in `waiting` how many units `load_waiting` finds.
    """
    pinned = ~(units.c.is_auto_update_from_repo_unit & repos.c.is_auto_update_repo)
    waiting = func.sum(case((_WAITING, 1), else_=0)).label("waiting")
    query: Select[Any] = (
        select(repos.c.uuid, *_COLUMNS, waiting)
        .select_from(units.join(repos, units.c.repo_uuid == repos.c.uuid))
        .where(which, pinned)
        .group_by(repos.c.uuid, *_COLUMNS)
    )
    async with context.database.read() as connection:
        return list((await connection.execute(query)).all())


def of_pin(pin: Row[Any]) -> ColumnElement[bool]:
    """Say of a row of `units` whether it is of this group."""
    return and_(
        units.c.repo_uuid == pin.uuid,
        units.c.is_auto_update_from_repo_unit == pin.is_auto_update_from_repo_unit,
        units.c.repo_branch.is_not_distinct_from(pin.repo_branch),
        units.c.repo_commit.is_not_distinct_from(pin.repo_commit),
    )


async def load_waiting(context: Context, pin: Row[Any]) -> Sequence[Row[Any]]:
    """Return those of the group that were commanded to their commit and do not report it; rows of `select_units`."""
    async with context.database.read() as connection:
        return list((await connection.execute(select_units().where(of_pin(pin), _WAITING))).all())
