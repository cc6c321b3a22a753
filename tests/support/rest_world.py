"""A gateway, a git server and people on it, shared by the REST tests of one module."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.gateway import Api, GatewayUnderTest
from tests.support.git_server import GitServer, WorkTree
from tests.support.sample_program import make_repo, sample_tree

__all__ = ["MISSING", "World", "world"]

MISSING = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class World:
    """Alice owns a registry and a Public repo; Bob owns nothing."""

    gateway: GatewayUnderTest
    git: GitServer
    tree: WorkTree
    folder: Path
    admin: Api
    alice: Api
    bob: Api
    registry: dict[str, Any]
    repo: dict[str, Any]

    @property
    def nobody(self) -> Api:
        return self.gateway.nobody


@asynccontextmanager
async def world(folder: Path, **settings: Any) -> AsyncIterator[World]:
    """Start everything and make the people."""
    with GitServer(folder / "git") as git:
        tree = sample_tree(git, folder / "work")
        async with GatewayUnderTest(folder / "data", **settings) as gateway:
            alice, bob = await gateway.user("alice"), await gateway.user("bobby")
            registry, repo = await make_repo(alice, git.url("sample"), "sample-repo")
            yield World(gateway, git, tree, folder, await gateway.admin(), alice, bob, registry, repo)
