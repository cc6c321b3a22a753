"""A compiled program in a repository with releases, and the gateway's entities that lead to units of it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from pepeunit_gateway.storage.tables import repository_registry
from tests.support.field_unit import FieldUnit, eventually
from tests.support.gateway import Api, GatewayUnderTest
from tests.support.git_platforms import GitHubApi, GitLabApi, PlatformServer, Project
from tests.support.git_server import GitServer
from tests.support.sample_program import make_repo, make_unit, sample_tree

__all__ = ["CompiledProgram", "link"]

_APIS = {"Github": GitHubApi, "Gitlab": GitLabApi}


def link(tag: str, platform: str) -> str:
    """Where a program lies."""
    return f"https://files.example/{tag}/{platform}"


class CompiledProgram:
    """A repository on a platform of its own; the first commit has the tag `v1` and the release `v1`."""

    def __init__(self, gateway: GatewayUnderTest, owner: Api, folder: Path, kind: str, name: str) -> None:
        self.gateway, self.owner, self.kind, self.name = gateway, owner, kind, name
        self.server = GitServer(folder / "git")
        self.server.start()
        self.tree = sample_tree(self.server, folder / "work", f"owner/{name}")
        self.tree.tag("v1")
        self.tree.push()
        self.project = Project(f"owner/{name}", self.server.url(f"owner/{name}"))
        self.platform: PlatformServer = _APIS[kind](self.project)
        self.server.api = self.platform.answer
        self.registry: dict[str, Any] = {}
        self.repo: dict[str, Any] = {}

    def release(self, tag: str, *platforms: str) -> None:
        """Publish a release with a program for each platform."""
        self.project.release(tag, {platform: link(tag, platform) for platform in platforms})

    def push(self, tag: str) -> str:
        """Commit something, tag it and push both; return the commit."""
        self.tree.write("main.go", f"// {tag}\n")
        commit = self.tree.commit(tag)
        self.tree.tag(tag)
        self.tree.push()
        return commit

    async def make_repo(self, **more: Any) -> None:
        """Register the repository and make a compilable Repo of it."""
        url = self.project.url
        wanted = {"is_compilable_repo": True, "is_only_tag_update": True, **more}
        self.registry, self.repo = await make_repo(self.owner, url, self.name, platform=self.kind, **wanted)

    async def unit(self, name: str, platform: str) -> str:
        """Make a unit that follows the Repo; return its uuid."""
        made = await make_unit(self.owner, self.repo["uuid"], f"{self.name}-{name}", target_firmware_platform=platform)
        return str(made["uuid"])

    async def connected(self, name: str, platform: str) -> FieldUnit:
        """The same, connected, listening and on its target."""
        unit = await FieldUnit.connect(self.gateway, self.owner, await self.unit(name, platform))
        assert all(await unit.subscribe(unit.topic("input_base_topic", "update/pepeunit")))
        commit = unit.env["PU_COMMIT_VERSION"]
        await unit.report(commit)

        async def reported() -> Any:
            return (await self.shown(unit.api.uuid))["current_commit_version"]

        await eventually(reported, commit)
        return unit

    async def command(self, unit: FieldUnit) -> Any:
        """The next command of a unit."""
        return json.loads((await unit.next_message())[1])

    async def shown(self, unit: str) -> dict[str, Any]:
        """A unit as its owner sees it."""
        body: dict[str, Any] = (await self.owner.get(f"/units/{unit}")).body
        return body

    async def told(self, unit: str, said: str) -> None:
        """Wait until a unit says this in firmware_update_error."""

        async def read() -> tuple[Any, bool]:
            body = await self.shown(unit)
            return body["firmware_update_status"], said in (body["firmware_update_error"] or "")

        await eventually(read, ("Error", True))

    async def synced(self) -> tuple[str, str, list[str]]:
        """The registry's sync_status, sync_error and the tags of releases_data."""
        body = (await self.owner.get(f"/repository_registry/{self.registry['uuid']}")).body
        return body["sync_status"], body["sync_error"] or "", list(json.loads(body["releases_data"] or "{}"))

    async def sync(self) -> None:
        """Ask for a synchronisation, when releases may be read again."""
        await self.pass_time(2)
        reply = await self.owner.patch(f"/repository_registry/update_local_repository/{self.registry['uuid']}")
        assert reply.status == 204, reply.body

    async def pass_time(self, minutes: int = 6) -> None:
        """Let the releases have been read that long ago."""
        context = self.gateway.registry.context
        table = repository_registry
        then = context.clock() - timedelta(minutes=minutes)
        async with context.database.write() as connection:
            mine = table.c.uuid == UUID(self.registry["uuid"])
            await connection.execute(table.update().where(mine).values(releases_datetime=then))
