"""A gateway with everybody and everything on it that the access table asks about.

Entities are made by the registry's own services, which is what the routes call, and kept until a request destroys them.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from uuid import UUID

import jwt
from aiohttp import ClientSession, ClientTimeout

from pepeunit_gateway.access.agents import Agent, AgentType, Scope, UserRole, VisibilityLevel
from pepeunit_gateway.access.permissions import HolderType, ResourceType
from pepeunit_gateway.access.tokens import unit_token, user_token
from pepeunit_gateway.firmware.mirrors import Credentials
from pepeunit_gateway.registry.entities import GitPlatform
from pepeunit_gateway.registry.node_reads import NodeFilter
from pepeunit_gateway.registry.nodes import NodeChange
from pepeunit_gateway.registry.permissions import NewPermission
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.repos import NewRepo
from pepeunit_gateway.registry.repositories import NewRepository
from pepeunit_gateway.registry.units import NewUnit
from pepeunit_gateway.storage.tables import permissions
from tests.support.access.table import AGENTS, ANY, Call, Caller, Subject
from tests.support.gateway import PASSWORD, GatewayUnderTest
from tests.support.git_server import GitServer
from tests.support.rest_world import MISSING
from tests.support.sample_program import sample_tree

__all__ = ["NOBODY", "Stage", "open_stage"]

_LOGIN = ("robot", "right-token")
_PEOPLE = ("creator", "stranger", "permitted User", "blocked User", "Admin")
NOBODY = Subject(**{part.name: MISSING for part in fields(Subject) if part.name not in ("level", "secrets")})
"""What there is not."""


@dataclass
class Stage:
    """Who asks, and what about. `subject` makes what is missing, `forget` lets it be made anew."""

    gateway: GatewayUnderTest
    session: ClientSession
    private_url: str
    people: dict[str, Agent] = field(default_factory=dict)
    tokens: dict[str, str | None] = field(default_factory=dict)
    own: dict[str, tuple[str, str]] = field(default_factory=dict)  # an Output and an Input of each User
    public: Subject = field(default_factory=Subject)
    permitted_unit: UUID | None = None
    _private: str = ""
    _subjects: dict[tuple[str, str], Subject] = field(default_factory=dict)
    _number: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def registry(self) -> Registry:
        return self.gateway.registry

    def _name(self) -> str:
        return f"thing-{next(self._number)}"

    async def prepare(self, public_url: str) -> None:
        """Make the people, the units that they and the other agents are, and the repository of the program."""
        registry = self.registry
        admin = Agent(AgentType.USER, (await registry.users.create_admin("the-admin", PASSWORD)).uuid, UserRole.ADMIN)
        self.people["Admin"] = admin
        for name in _PEOPLE[:-1]:
            user = await registry.users.register(admin, name.lower().replace(" ", "-"), PASSWORD)
            self.people[name] = Agent(AgentType.USER, user.uuid, UserRole.USER)
        self.tokens = {name: self._user_token(agent) for name, agent in self.people.items()}
        blocked = self.people["blocked User"].uuid
        assert blocked is not None
        await registry.users.block(admin, blocked)
        creator = self.people["creator"]
        made = await registry.repositories.create(creator, NewRepository(GitPlatform.GIT, public_url, True))  # noqa: FBT003 - the field says what it is
        repo = await self._repo(str(made.uuid), VisibilityLevel.PUBLIC)
        self.public = Subject(registry=str(made.uuid), repo=str(repo))
        for name in ("creator", "stranger", "permitted User", "Admin"):
            nodes = await self._nodes(self.people[name], await self._unit(self.people[name], repo))
            self.own[name] = nodes["temperature/pepeunit"], nodes["raw_in"]
        self.permitted_unit = await self._unit(self.people["permitted User"], repo)
        self.tokens |= {
            "Bot": None,
            "Unit itself": self._unit_token(await self._unit(creator, repo)),
            "other Unit": self._unit_token(await self._unit(self.people["stranger"], repo)),
            "permitted Unit": self._unit_token(self.permitted_unit),
            "Backend": jwt.encode({"domain": self.gateway.settings.domain, "type": "Backend"}, registry.context.secret),
        }

    async def ask(self, caller: Caller, method: str, call: Call, *, prefixed: bool) -> tuple[int, str]:
        """Send a request; return its status and the text of its answer."""
        method = "POST" if method == ANY else method
        base = self.gateway.origin + (self.gateway.settings.api_prefix if prefixed else "")
        headers = dict(call.headers)
        if caller.token is not None:
            headers["x-auth-token"] = caller.token
        options = {} if call.body is None else {"json": call.body}
        if call.raw is not None:
            options = {"data": call.raw}
        if call.upload is not None:
            # an unnamed boundary would be random; this one is fixed, and occurs in nothing that is sent
            headers["Content-Type"] = "multipart/form-data; boundary=edge"
            head = f'--edge\r\nContent-Disposition: form-data; name="{call.upload_field}"; filename="f"\r\n\r\n'
            options = {"data": head.encode() + call.upload + b"\r\n--edge--\r\n"}
        async with self.session.request(
            method, base + call.path, headers=headers, allow_redirects=False, **options
        ) as reply:
            return reply.status, (await reply.read()).decode(errors="replace")

    def caller(self, name: str, subject: Subject) -> Caller:
        """Return the agent as it is to this subject."""
        output, target = self.own.get(name, self.own["stranger"])
        return Caller(name, subject.secrets.get(name, self.tokens[name]), output, target)

    def callers(self, subject: Subject) -> list[Caller]:
        return [self.caller(name, subject) for name in AGENTS]

    async def subject(self, kind: str, level: str) -> Subject:
        """Return what a request on that level is about."""
        key = kind, level
        if key not in self._subjects:
            make = {
                "entities": self._entities,
                "repository": self._repository,
                "user": self._user,
                "nothing": self._nothing,
            }[kind]
            self._subjects[key] = replace(await make(level), level=level)
        return self._subjects[key]

    def forget(self, kind: str, level: str) -> None:
        """Let the subject be made anew: a request has destroyed or changed it."""
        self._subjects.pop((kind, level), None)

    async def _nothing(self, level: str) -> Subject:
        del level
        return Subject(domain=self.gateway.settings.domain)

    async def _entities(self, level: str) -> Subject:
        """A Repo, a unit with its nodes, an edge between them; permissions on all of it for User and Unit."""
        creator, visibility = self.people["creator"], VisibilityLevel(level)
        repo, bare = [await self._repo(self.public.registry, visibility) for _ in range(2)]
        unit = await self._unit(creator, repo, visibility)
        nodes = await self._nodes(creator, unit)
        output, target, rewritable = (nodes[name] for name in ("temperature/pepeunit", "set_fan/pepeunit", "raw_in"))
        edge = await self.registry.edges.create(creator, UUID(output), UUID(target))
        await self.registry.nodes.edit(creator, UUID(rewritable), NodeChange(is_rewritable_input=True))
        granted = [(repo, ResourceType.REPO), (bare, ResourceType.REPO), (unit, ResourceType.UNIT)]
        granted += [(UUID(node), ResourceType.UNIT_NODE) for node in (output, target, rewritable)]
        holders = (self.people["permitted User"].uuid, HolderType.USER), (self.permitted_unit, HolderType.UNIT)
        for resource, resource_type in granted:
            for holder, holder_type in holders:
                assert holder is not None
                await self.registry.permissions.grant(
                    creator, NewPermission(holder, holder_type, resource, resource_type)
                )
        await self._leave_no_automatic_permissions()
        return Subject(
            repo=str(repo),
            bare_repo=str(bare),
            unit=str(unit),
            output=output,
            input=target,
            rewritable=rewritable,
            edge=str(edge.uuid),
            user=str(self.people["blocked User"].uuid),  # somebody to grant to who asks for nothing
            holder=str(self.people["permitted User"].uuid),
            secrets={"Unit itself": self._unit_token(unit)},
        )

    async def _leave_no_automatic_permissions(self) -> None:
        """Take the creator's own rows away: the cells tell what a creator may do for being the creator."""
        async with self.registry.context.act() as act:
            own = permissions.c.agent_user_uuid == self.people["creator"].uuid
            await act.connection.execute(permissions.delete().where(own))

    async def _repository(self, level: str) -> Subject:
        is_public = level == "public"
        credentials = None if is_public else Credentials(*_LOGIN)
        nowhere = f"http://127.0.0.1:9/{self._name()}.git"
        creator, repositories = self.people["creator"], self.registry.repositories
        bare = await repositories.create(creator, NewRepository(GitPlatform.GIT, nowhere, is_public, credentials))
        registry = self.public.registry if is_public else await self._private_repository()
        webhook = await self.registry.webhooks.renew(creator, bare.uuid)
        return Subject(registry=registry, bare_registry=str(bare.uuid), webhook=webhook.secret)

    async def _private_repository(self) -> str:
        """The one private repository there is; creator and permitted User have credentials that work."""
        if not self._private:
            creator, repositories = self.people["creator"], self.registry.repositories
            new = NewRepository(
                GitPlatform.GIT, self.private_url, is_public_repository=False, credentials=Credentials(*_LOGIN)
            )
            made = await repositories.create(creator, new)
            await repositories.set_credentials(self.people["permitted User"], made.uuid, Credentials(*_LOGIN))
            self._private = str(made.uuid)
        return self._private

    async def _user(self, level: str) -> Subject:
        del level
        login = self._name()
        user = await self.registry.users.register(self.people["Admin"], login, PASSWORD)
        agent = Agent(AgentType.USER, user.uuid, UserRole.USER)
        token, _ = await self.registry.tokens.create(agent, self._name(), Scope.READ, None)
        secrets = {"creator": self._user_token(agent)}
        return Subject(user=str(user.uuid), login=login, password=PASSWORD, token=str(token.uuid), secrets=secrets)

    async def _repo(self, registry: str, visibility: VisibilityLevel) -> UUID:
        new = NewRepo(
            UUID(registry), "main", visibility, self._name(), is_compilable_repo=False, is_only_tag_update=False
        )
        return (await self.registry.repos.create(self.people["creator"], new)).uuid

    async def _unit(self, owner: Agent, repo: UUID, visibility: VisibilityLevel = VisibilityLevel.PUBLIC) -> UUID:
        new = NewUnit(repo, visibility, self._name(), is_auto_update_from_repo_unit=True)
        return (await self.registry.units.create(owner, new)).uuid

    async def _nodes(self, owner: Agent, unit: UUID) -> dict[str, str]:
        page = json.loads(await self.registry.node_reads.page(owner, NodeFilter(unit_uuid=unit)))
        return {node["topic_name"]: node["uuid"] for node in page["unit_nodes"]}

    def _unit_token(self, unit: UUID) -> str:
        return unit_token(unit, secret=self.registry.context.secret, generation=0)

    def _user_token(self, agent: Agent) -> str:
        context = self.registry.context
        assert agent.uuid is not None
        return user_token(
            agent.uuid, secret=context.secret, generation=0, now=context.clock(), lifetime=timedelta(hours=1)
        )


@asynccontextmanager
async def open_stage(folder: Path) -> AsyncIterator[Stage]:
    """Start a gateway, a public and a private git server, and make everybody.

    Backend tokens are let in (PU_ALLOW_EXTERNAL_DATAPIPE), so that their column tells what they may do.
    """
    with GitServer(folder / "git") as git, GitServer(folder / "private", credentials=_LOGIN) as private:
        sample_tree(git, folder / "work")
        sample_tree(private, folder / "private-work")
        settings = {"allow_external_datapipe": True, "repo_poll_interval": 3600}
        async with (
            GatewayUnderTest(folder / "data", **settings) as gateway,
            ClientSession(timeout=ClientTimeout(total=30)) as session,
        ):
            stage = Stage(gateway, session, private.url("sample"))
            await stage.prepare(git.url("sample"))
            yield stage
