"""The main job from an empty folder to two updated units. Every step waits for what it promises."""

from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.demo import archives
from tests.demo.rest import Rest
from tests.demo.stage import ROOT, Stage
from tests.demo.steps import Steps
from tests.support.git_server import GitServer, WorkTree

__all__ = ["Scenario"]

EXAMPLE = ROOT / "docs" / "examples" / "thermometer"
PASSWORD = "Demo-password-1"
INTERPRETERS = {"demo-cpython": "cpython", "demo-micropython": "micropython"}
START_LABELS = ("API", "OpenAPI", "MQTT", "Data", "pepeunit gateway user create-admin", "PU_HTTP_HOST=0.0.0.0")
PIPE = """
active_period:
  type: Permanent
filters:
  type_input_value: Number
  max_rate: 0
  last_unique_check: false
  max_size: 100
processing_policy:
  policy_type: TimeWindow
  time_window_size: 3600
"""


@dataclass
class UnitView:
    """What the demo knows of one unit: its uuid and its nodes by name."""

    uuid: str
    nodes: dict[str, str]


class Scenario:
    """Plays the steps in order; what one step learns, the next ones use."""

    def __init__(self, stage: Stage, steps: Steps) -> None:
        self.stage = stage
        self.steps = steps
        self.tokens: dict[str, str] = {}
        self.registry = ""
        self.repo = ""
        self.units: dict[str, UnitView] = {}
        self.git = GitServer(stage.folder / "git")
        self.tree: WorkTree
        self.commits: list[str] = []

    @property
    def user(self) -> Rest:
        """A client with the ordinary user's token."""
        return Rest(self.stage.api_url, self.tokens.get("demo-user", ""))

    async def play(self) -> None:
        """All steps but the end of the gateway."""
        run = self.steps.run
        await run("the gateway starts and answers", 20, self.start_gateway())
        await run("its start block and its OpenAPI page tell the way", 10, self.read_the_block())
        await run("the command line makes the first Admin", 15, self.make_admin())
        await run("the Admin makes an ordinary user, who logs in", 15, self.make_user())
        await run("the sample program is committed and served by git over HTTP", 15, self.serve_repository())
        await run("the repository is registered and fetched", 20, self.register_repository())
        await run("a Repo that follows its branch is made", 10, self.make_repo())
        await run("two Units are made from it", 10, self.make_units())
        await run("their settings and the storage of their telemetry are set", 10, self.configure_units())
        await run("their archives are downloaded and checked in three formats", 20, self.download_archives())
        await run("one starts on CPython, one on MicroPython", 10, self.start_units())
        await run("each reports its interpreter", 30, self.check_interpreters())
        await run("telemetry of both is stored and readable", 20, self.check_telemetry())
        await run("both report state, commit and log", 30, self.check_version(0))
        await run("an Output of each is linked to an Input of the other", 10, self.link_units())
        await run("the linked values have arrived", 30, self.check_links())
        await run("a change of the program is committed", 10, self.commit_change())
        await run("the gateway notices; both units run and report the new commit", 60, self.check_version(1))
        await run("both publish what the new program says", 30, self.check_change())

    async def end(self) -> None:
        """The units stop, then the gateway with its broker."""
        await self.steps.run("the units stop", 15, self.stage.stop_units())
        await self.steps.run("Ctrl-C ends the gateway and its broker", 15, self.stage.stop_gateway())

    async def start_gateway(self) -> None:
        await self.stage.gateway.start()
        async with aiohttp.ClientSession() as session:

            async def ready() -> str:
                if self.stage.gateway.exit_code is not None:
                    raise RuntimeError(f"the gateway ended with {self.stage.gateway.exit_code}")
                try:
                    async with session.get(f"{self.stage.root_url}/readyz") as response:
                        return str(response.status)
                except aiohttp.ClientError as error:
                    return str(error)

            await self.steps.until(ready, lambda seen: seen == "200")

    async def read_the_block(self) -> None:
        async def missing() -> list[str]:
            text = self.stage.gateway.log.read_text()
            return [label for label in (*START_LABELS, f":{self.stage.mqtt_port}") if label not in text]

        await self.steps.until(missing, lambda labels: not labels)
        async with Rest(self.stage.root_url) as nobody:
            await nobody.fetch("GET", "/pepeunit/docs")
            document = await nobody.get("/pepeunit/api/v1/openapi.json")
            assert document["servers"][0]["url"].endswith("/pepeunit/api/v1"), document["servers"]
            assert {"/users", "/repos", "/units", "/unit_nodes"} <= document["paths"].keys(), sorted(document["paths"])

    async def _log_in(self, login: str) -> None:
        async with Rest(self.stage.api_url) as nobody:
            answer = await nobody.post("/users/auth", {"credentials": login, "password": PASSWORD})
        self.tokens[login] = answer["token"]

    async def make_admin(self) -> None:
        await self.stage.run_command(
            "gateway", "user", "create-admin", "--login", "demo-admin", "--password-stdin", typed=PASSWORD + "\n"
        )
        await self._log_in("demo-admin")

    async def make_user(self) -> None:
        async with Rest(self.stage.api_url, self.tokens["demo-admin"]) as admin:
            user = await admin.post("/users", {"login": "demo-user", "password": PASSWORD})
        assert user["role"] == "User", user
        await self._log_in("demo-user")

    async def serve_repository(self) -> None:
        self.git.start()
        self.tree = WorkTree.create(self.stage.folder / "work", bare=self.git.bare("thermometer"), source=EXAMPLE)
        self._push("The thermometer")

    def _push(self, message: str) -> None:
        self.commits.append(self.tree.commit(message))
        self.tree.push()

    async def register_repository(self) -> None:
        body = {"platform": "Git", "repository_url": self.git.url("thermometer"), "is_public_repository": True}
        async with self.user as user:
            registry = await user.post("/repository_registry", body)
            self.registry = registry["uuid"]

            async def look() -> dict[str, Any]:
                return await user.get(f"/repository_registry/{self.registry}")

            await self.steps.until(look, lambda seen: seen["sync_status"] == "Updated" and "main" in seen["branches"])

    async def make_repo(self) -> None:
        body = {
            "repository_registry_uuid": self.registry,
            "name": "demo-repo",
            "default_branch": "main",
            "visibility_level": "Public",
            "is_compilable_repo": False,
            "is_auto_update_repo": True,
            "is_only_tag_update": False,
        }
        async with self.user as user:
            self.repo = (await user.post("/repos", body))["uuid"]

    async def make_units(self) -> None:
        async with self.user as user:
            for name in INTERPRETERS:
                body = {
                    "repo_uuid": self.repo,
                    "name": name,
                    "visibility_level": "Public",
                    "is_auto_update_from_repo_unit": True,
                }
                uuid = (await user.post("/units", body))["uuid"]
                listed = await user.get("/unit_nodes", unit_uuid=uuid)
                nodes = {node["topic_name"]: node["uuid"] for node in listed["unit_nodes"]}
                self.units[name] = UnitView(uuid, nodes)

    async def configure_units(self) -> None:
        async with self.user as user:
            for unit in self.units.values():
                typed = '{"PUBLISH_SEND_INTERVAL": 1, "ABOUT_SEND_INTERVAL": 1}'
                await user.patch(f"/units/env/{unit.uuid}", {"env_json_string": typed})
                node = unit.nodes["current_temp/pepeunit"]
                await user.upload("/unit_nodes/set_data_pipe_config", PIPE, uuid=node)

    async def download_archives(self) -> None:
        async with self.user as user:
            for name, unit in self.units.items():
                files = await archives.fetch(user, unit.uuid)
                archives.install(files, self.stage.folder / name)

    async def start_units(self) -> None:
        for name, implementation in INTERPRETERS.items():
            await self.stage.add_unit(name, implementation, self.stage.folder / name).start()

    async def _node_state(self, user: Rest, name: str, topic: str) -> str | None:
        return (await user.get(f"/unit_nodes/{self.units[name].nodes[topic]}"))["state"]

    async def _all_states(self, topic: str) -> dict[str, str | None]:
        async with self.user as user:
            return {name: await self._node_state(user, name, topic) for name in self.units}

    async def check_interpreters(self) -> None:
        await self.steps.until(lambda: self._all_states("runtime/pepeunit"), lambda seen: seen == INTERPRETERS)

    async def _telemetry(self, name: str) -> list[str]:
        node = self.units[name].nodes["current_temp/pepeunit"]
        async with self.user as user:
            rows = await user.get("/unit_nodes/get_data_pipe_data/", uuid=node, type="TimeWindow", limit=500)
        return [row["state"] for row in rows["pipe_data"]]

    async def check_telemetry(self) -> None:
        for name in self.units:
            await self.steps.until(lambda name=name: self._telemetry(name), lambda rows: len(set(rows)) >= 2)

    async def link_units(self) -> None:
        async with self.user as user:
            first, second = self.units.values()
            for source, target in ((first, second), (second, first)):
                body = {
                    "node_output_uuid": source.nodes["current_temp/pepeunit"],
                    "node_input_uuid": target.nodes["set_fan_state/pepeunit"],
                }
                await user.post("/unit_nodes/create_unit_node_edge", body)

    async def check_links(self) -> None:
        for target, source in zip(self.units, reversed(self.units), strict=True):

            async def arrived(target: str = target, source: str = source) -> tuple[str | None, list[str]]:
                async with self.user as user:
                    state = await self._node_state(user, target, "fan_state/pepeunit")
                return state, await self._telemetry(source)

            await self.steps.until(arrived, lambda seen: seen[0] in seen[1])

    async def commit_change(self) -> None:
        before = (EXAMPLE / "main.py").read_text()
        after = before.replace('PROGRAM_VERSION = "1.0.0"', 'PROGRAM_VERSION = "1.1.0"')
        assert before != after, "the sample program lost its PROGRAM_VERSION line"
        self.tree.write("main.py", after)
        self._push("Version 1.1.0")

    async def check_version(self, index: int) -> None:
        async def look() -> dict[str, tuple[Any, ...]]:
            async with self.user as user:
                found = [await user.get(f"/units/{unit.uuid}") for unit in self.units.values()]
                logs = [await user.get("/units/log_list/", uuid=unit.uuid) for unit in self.units.values()]
            return {
                unit["name"]: (unit["current_commit_version"], unit["firmware_update_status"], log["count"] > 0)
                for unit, log in zip(found, logs, strict=True)
            }

        def right(seen: dict[str, tuple[Any, ...]]) -> bool:
            statuses = {"Success"} if index else {"Success", None}
            return all(
                commit == self.commits[index] and status in statuses and logged
                for commit, status, logged in seen.values()
            )

        await self.steps.until(look, right)

    async def check_change(self) -> None:
        wanted = dict.fromkeys(self.units, "1.1.0")
        await self.steps.until(lambda: self._all_states("program_version/pepeunit"), lambda seen: seen == wanted)
        for name, program in self.stage.units.items():
            assert program.restarts or "cpython" in name, f"{name} reports the new commit but was never restarted"

    def close(self) -> None:
        """Stop the git server."""
        self.git.stop()
