"""A served repository and a mirror cache beside it, for the git tests."""

from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from pepeunit_gateway.firmware.mirrors import Credentials, MirrorCache, SyncResult
from tests.support.git_server import GitServer, WorkTree

__all__ = ["ServedRepository"]

MIB = 1024 * 1024


@dataclass
class ServedRepository:
    """One repository called `sample` with a first commit, and where its mirror goes."""

    folder: Path
    server: GitServer
    credentials: Credentials | None = None
    registry: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        self.tree = WorkTree.create(self.folder / "work", bare=self.server.bare("sample"))
        self.tree.write("main.py", "print('one')\n")
        self.tree.write("env_example.json", "{}")
        self.tree.write("schema_example.json", "{}")
        self.first = self.tree.commit("first")
        self.tree.push()
        self._caches: list[MirrorCache] = []
        self.mirrors = self.cache()

    async def close(self) -> None:
        """Close the connections of every cache; needed where something was synchronised twice."""
        for mirrors in self._caches:
            await mirrors.close()

    @property
    def url(self) -> str:
        return self.server.url("sample")

    @property
    def mirror(self) -> Path:
        return self.mirrors.mirror(self.registry)

    def cache(
        self, *, max_size: int = 50 * MIB, allow_private: bool = True, timeout: float = 30, patience: int = 20
    ) -> MirrorCache:
        """A cache over the same folder, as the next start of the gateway would have it."""
        mirrors = MirrorCache(
            self.folder / "mirrors",
            max_size=max_size,
            allow_private=allow_private,
            allow_file=(),
            timeout=timeout,
            patience=patience,
        )
        self._caches.append(mirrors)
        return mirrors

    async def sync(self, mirrors: MirrorCache | None = None) -> SyncResult:
        return await (mirrors or self.mirrors).sync(self.registry, self.url, self.credentials)

    async def main_py(self) -> bytes | None:
        """What a unit that follows `main` would get now."""
        return await self.mirrors.read_file(self.registry, self.mirrors.head(self.registry, "main"), "main.py")

    def leftovers(self) -> set[str]:
        """Everything in the cache's folder but the mirror and its lock."""
        names = {path.name for path in (self.folder / "mirrors").iterdir()}
        return names - {f"{self.registry}.git", f"{self.registry}.lock"}
