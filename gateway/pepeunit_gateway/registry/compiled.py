"""Compiled programs: which file of a release a unit fetches. Source: protocol/firmware.md 7.5; W33.

A unit of a compilable Repo names one file of the release of its target's tag. Where the release lacks it, that unit is
told and keeps what it runs; the other units of the Repo go on.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, or_, select

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.versions import Target
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.entities import FirmwareUpdateStatus
from pepeunit_gateway.registry.releases import read_releases
from pepeunit_gateway.storage.tables import repository_registry, units

__all__ = ["Programs", "commandable", "load_programs"]

log = structlog.get_logger(__name__)

_SHOWN_NAMES = 20


@dataclass(frozen=True, slots=True)
class Programs:
    """The compiled programs of one release by their names; of a Repo that is not compilable none is needed."""

    is_needed: bool = False
    tag: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)

    def link(self, platform: str | None) -> str | None:
        """Return where a unit with this target_firmware_platform fetches its program; None where none is needed.

        Raises:
            GitRepoError: the release has none for it; the message lists the names that there are.
        """
        if not self.is_needed:
            return None
        link = self.links.get(platform or "")
        if link is not None:
            return link
        if not self.links:
            raise GitRepoError(
                f"Release {self.tag!r} is not known, or has no files yet; publish it on GitHub or GitLab with the "
                "compiled programs. Releases are read again every five minutes, or when you synchronise the registry"
            )
        names = [*list(self.links)[:_SHOWN_NAMES], *(["..."] if len(self.links) > _SHOWN_NAMES else [])]
        lack = f"no program called {platform[:100]!r}" if platform else "programs for several platforms"
        raise GitRepoError(
            f"Release {self.tag!r} has {lack}; set target_firmware_platform to one of: {', '.join(names)}"
        )

    def links_of(self, rows: Sequence[Row[Any]]) -> dict[UUID, str]:
        """Return the links of units by their uuid; empty where none is needed.

        Raises:
            GitRepoError: as `link`, for the first unit without one.
        """
        found = {row.uuid: self.link(row.target_firmware_platform) for row in rows}
        return {uuid: link for uuid, link in found.items() if link is not None}


async def load_programs(context: Context, registry: UUID, target: Target, *, is_compilable: bool) -> Programs:
    """Return the programs that units with this target may fetch, as the platform told them last."""
    if not is_compilable:
        return Programs()
    query = select(repository_registry.c.releases_data).where(repository_registry.c.uuid == registry)
    async with context.database.read() as connection:
        stored = (await connection.execute(query)).scalar_one_or_none()
    return Programs(is_needed=True, tag=target.tag, links=dict(read_releases(stored).get(target.tag or "", [])))


async def commandable(context: Context, rows: Sequence[Row[Any]], programs: Programs) -> list[Row[Any]]:
    """Return those of `rows` whose program the release has; the units of the others are told what it lacks, once.

    Args:
        context: the doors.
        rows: of `select_units`, all with one target.
        programs: of that target.
    """
    able: list[Row[Any]] = []
    told: defaultdict[str, list[UUID]] = defaultdict(list)
    for row in rows:
        try:
            programs.link(row.target_firmware_platform)
            able.append(row)
        except GitRepoError as error:
            if row.firmware_update_error != error.detail:
                told[error.detail].append(row.uuid)
    if told:
        await _tell(context, told)
        log.warning("repo.update.program_missing", tag=programs.tag, units=sum(map(len, told.values())))
    return able


async def _tell(context: Context, told: Mapping[str, Sequence[UUID]]) -> None:
    async with context.act() as act:
        for detail, uuids in told.items():
            news = or_(units.c.firmware_update_error.is_(None), units.c.firmware_update_error != detail)
            await act.connection.execute(
                units.update()
                .where(units.c.uuid.in_(uuids), news)
                .values(
                    firmware_update_status=FirmwareUpdateStatus.ERROR.value,
                    firmware_update_error=detail,
                    last_firmware_update_datetime=None,
                )
            )
