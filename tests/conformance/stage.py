"""The ground of one scenario: a program served by git, a device that runs it, a unit that listens to it."""

import json
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import FormData

from pepeunit_gateway.registry.outbox import WAITS
from pepeunit_gateway.storage.own_tables import outbox
from tests.conformance.device import Device
from tests.conformance.observer import Observer
from tests.support.field_unit import FieldUnit, eventually
from tests.support.gateway import Api
from tests.support.git_server import WorkTree
from tests.support.rest_world import World
from tests.support.sample_program import make_repo, make_unit, nodes_of

__all__ = ["Stage"]

PROGRAMS = Path(__file__).with_name("programs")
COMMANDS = ["update/pepeunit", "env_update/pepeunit", "schema_update/pepeunit", "log_sync/pepeunit"]
ROWS = """
active_period: {type: Permanent}
filters: {type_input_value: Text, max_rate: 0, last_unique_check: false, max_size: 1000}
processing_policy: {policy_type: TimeWindow, time_window_size: 3600}
"""
_numbers = count(1)


class Stage:
    """Uses the module's gateway; everything on it belongs to Alice. `device` is there after `install`."""

    def __init__(self, world: World, sdk: str, folder: Path) -> None:
        self.world, self.sdk, self.folder = world, sdk, folder
        self.name = f"scenario-{next(_numbers)}"
        self.tree: WorkTree
        self.repo: dict[str, Any]
        self.device: Device
        self._observers: list[Observer] = []
        self._registry = ""

    @property
    def owner(self) -> Api:
        return self.world.alice

    async def install(
        self,
        program: str,
        *,
        inputs: tuple[str, ...] = (),
        outputs: tuple[str, ...] = (),
        files: dict[str, str] | None = None,
        **env: Any,
    ) -> Device:
        """Serve `programs/<program>.py` as main.py, make a unit of it and unpack its archive. Starts nothing."""
        git = self.world.git
        self.tree = WorkTree.create(self.folder / "work", bare=git.bare(self.name))
        self.write(program)
        for name, text in (files or {}).items():
            self.tree.write(name, text)
        schema = {
            "input_base_topic": COMMANDS,
            "output_base_topic": ["state/pepeunit", "log/pepeunit"],
            "input_topic": list(inputs),
            "output_topic": list(outputs),
        }
        self.tree.write("schema_example.json", json.dumps(schema))
        self.tree.write("env_example.json", json.dumps(env))
        self.tree.commit("first")
        self.tree.push()
        registry, self.repo = await make_repo(self.owner, git.url(self.name), self.name, is_auto_update_repo=True)
        self._registry = registry["uuid"]
        unit = await make_unit(self.owner, self.repo["uuid"], self.name)
        api = await self.world.gateway.unit(self.owner, unit["uuid"])
        self.device = Device(self.sdk, self.folder / "unit", api, await nodes_of(self.owner, unit["uuid"]))
        await self.device.flash()
        return self.device

    def write(self, program: str, changes: dict[str, str] | None = None) -> None:
        """Put a program into the working copy, with texts of it replaced."""
        text = (PROGRAMS / f"{program}.py").read_text()
        for old, new in (changes or {}).items():
            assert old in text, f"{program} has no {old}"
            text = text.replace(old, new)
        self.tree.write("main.py", text)

    async def push(self, message: str) -> str:
        """Commit, push and let the gateway look; the commit."""
        commit = self.tree.commit(message)
        self.tree.push()
        reply = await self.owner.patch(f"/repository_registry/update_local_repository/{self._registry}")
        assert reply.status == 204, reply.body
        reply = await self.owner.patch(f"/repos/update_units_firmware/{self.repo['uuid']}")
        assert reply.status == 204, reply.body
        return commit

    async def start(self) -> Device:
        """Start the device and wait until the gateway has its state."""
        await self.device.start()
        await self.reports(self.tree.head())
        return self.device

    async def reports(self, commit: str, *, status: str | None = None) -> None:
        """Wait until REST tells that the device runs `commit`."""

        async def read() -> tuple[str, str | None]:
            assert not self.device.has_ended, self.device.console.read_text(errors="replace")
            unit = await self.unit()
            return unit["current_commit_version"], unit["firmware_update_status"]

        await eventually(read, (commit, status), limit=20.0)

    async def commands_are_missed(self) -> None:
        """Take away every command that waits for its unit, as the gateway does when nobody listened for long."""
        async with self.world.gateway.registry.context.act() as act:
            await act.connection.execute(outbox.delete().where(WAITS))

    async def unit(self) -> dict[str, Any]:
        """The device as REST shows it."""
        reply = await self.owner.get(f"/units/{self.device.uuid}")
        assert reply.status == 200, reply.body
        found: dict[str, Any] = reply.body
        return found

    async def link(self, output: str, target: str) -> str:
        """Make an edge between two nodes; its uuid."""
        body = {"node_output_uuid": output, "node_input_uuid": target}
        return str((await self.owner.made("/unit_nodes/create_unit_node_edge", body))["uuid"])

    async def observe(self, *, hears: tuple[str, ...] = (), feeds: tuple[str, ...] = ()) -> Observer:
        """Make and connect a unit that hears these Outputs of the device and feeds these Inputs of it."""
        made = await make_unit(self.owner, self.world.repo["uuid"], f"{self.name}-observer")
        nodes, own = self.device.nodes, await nodes_of(self.owner, made["uuid"])
        for name in hears:
            await self.link(nodes[name]["uuid"], own["raw_in"]["uuid"])
        for name in feeds:
            await self.link(own["raw_out"]["uuid"], nodes[name]["uuid"])
        unit = await FieldUnit.connect(self.world.gateway, self.owner, made["uuid"])
        topics = unit.schema["input_topic"]["raw_in"][1:]
        assert len(topics) == len(hears)
        if topics:
            assert all(await unit.subscribe(*topics))
        by_uuid = {nodes[name]["uuid"]: name for name in hears}
        names = {topic: by_uuid[topic.split("/")[1]] for topic in topics}
        self._observers.append(Observer(unit, names))
        return self._observers[-1]

    async def close(self) -> None:
        """End what still runs, and show what the device printed if the scenario failed."""
        for observer in self._observers:
            await observer.leave()
        if hasattr(self, "device"):
            await self.device.power_off()
            if self.device.console.exists():
                print(self.device.console.read_text(errors="replace"))

    async def set_input(self, name: str, value: str) -> None:
        """Set the state of an Input over REST."""
        reply = await self.owner.patch(
            f"/unit_nodes/set_state_input/{self.device.nodes[name]['uuid']}", {"state": value}
        )
        assert reply.status == 200, reply.body

    async def output_becomes(self, name: str, value: str | None) -> None:
        """Wait until the stored state of an Output is `value`."""

        async def read() -> Any:
            return (await self.owner.get(f"/unit_nodes/{self.device.nodes[name]['uuid']}")).body["state"]

        await eventually(read, value, limit=15.0)

    async def keep_rows(self, name: str) -> None:
        """Let the gateway store every value of an Output for an hour, as fast as they come."""
        form = FormData()
        form.add_field("data", ROWS, filename="pipe.yaml", content_type="application/yaml")
        path = f"/unit_nodes/set_data_pipe_config?uuid={self.device.nodes[name]['uuid']}"
        reply = await self.owner.call("POST", path, data=form)
        assert reply.status == 204, reply.body

    async def rows_become(self, name: str, expected: list[str]) -> None:
        """Wait until the stored values of an Output are these, oldest first.

        A value may be stored twice where a broker died in between: QoS 1 means at least once.
        """
        query = {"uuid": self.device.nodes[name]["uuid"], "type": "TimeWindow", "order_by_create_date": "asc"}

        async def read() -> list[str]:
            reply = await self.owner.get("/unit_nodes/get_data_pipe_data/", query)
            return list(dict.fromkeys(row["state"] for row in reply.body["pipe_data"]))

        await eventually(read, expected, limit=15.0)

    async def type_env(self, **values: Any) -> None:
        """Type values of the unit's env.json over REST."""
        reply = await self.owner.patch(f"/units/env/{self.device.uuid}", {"env_json_string": json.dumps(values)})
        assert reply.status == 204, reply.body

    async def command(self, name: str) -> None:
        """Send a command over REST."""
        reply = await self.owner.post(f"/units/send_command_to_input_base_topic/{self.device.uuid}?command={name}")
        assert reply.status == 204, reply.body

    async def logs(self) -> list[dict[str, Any]]:
        """The log lines that the gateway holds of the device, oldest first."""
        query = {"uuid": self.device.uuid, "limit": 500, "order_by_create_date": "asc"}
        reply = await self.owner.get("/units/log_list/", query)
        assert reply.status == 200, reply.body
        found: list[dict[str, Any]] = reply.body["unit_logs"]
        return found

    async def logged(self, *parts: str, level: str) -> None:
        """Wait until one stored line of that level holds all these texts."""

        async def read() -> bool:
            return any(line["level"] == level and all(p in line["text"] for p in parts) for line in await self.logs())

        await eventually(read, expected=True, limit=15.0)
