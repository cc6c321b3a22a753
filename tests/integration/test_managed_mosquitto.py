"""The mosquitto that the gateway runs: its start, its end, its death, and what a start says when it cannot."""

import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pepeunit_gateway.broker.managed import ManagedBroker, ManagedBrokerConfig
from pepeunit_gateway.broker.mosquitto_files import find_executable
from pepeunit_gateway.errors import MqttError, StartError
from tests.support.mqtt import DEADLINE, Fleet, Inbox, publish_packet, running

BOTH_LOOPS = True

SCRIPT = """
import asyncio, sys
from pathlib import Path
from tests.support.mqtt import running

async def main():
    async with running(Path(sys.argv[1])) as stand:
        print(stand.broker.broker_pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def broker_on(directory: Path, **changes: object) -> ManagedBroker:
    return ManagedBroker(
        replace(ManagedBrokerConfig(directory=directory, subscriptions=()), **changes), Fleet().authenticate, Inbox()
    )


async def refusal(broker: ManagedBroker) -> str:
    """What a start that must fail says; nothing may be left of it."""
    with pytest.raises(StartError) as caught:
        await broker.start()
    assert broker.broker_pid is None
    return caught.value.message


async def ended(pid: int) -> None:
    """Wait until a process of somebody else has ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    readable = asyncio.Event()
    asyncio.get_running_loop().add_reader(pidfd, readable.set)
    try:
        async with asyncio.timeout(DEADLINE):
            await readable.wait()
    finally:
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def spawn(*argv: str | Path, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(argv, text=True, **options)


def identity_of(pid: int) -> str:
    started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{pid} {started} {Path('/proc/sys/kernel/random/boot_id').read_text()}"


async def test_the_folder_and_its_files_are_private(tmp_path):
    directory = tmp_path / "broker"
    directory.mkdir(mode=0o755)
    async with running(directory):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        for name in ("mosquitto.conf", "dynsec.json", "lock"):
            assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600, name


async def test_a_stop_leaves_no_process_and_a_second_stop_does_nothing(tmp_path):
    async with running(tmp_path / "broker") as stand:
        pid = stand.broker.broker_pid
        await stand.broker.stop()
        assert not exists(pid)
        assert stand.broker.broker_pid is None


async def test_ctrl_c_in_a_terminal_does_not_reach_mosquitto(tmp_path):
    async with running(tmp_path / "broker") as stand:
        assert os.getsid(stand.broker.broker_pid) == stand.broker.broker_pid


async def test_secrets_of_the_environment_do_not_reach_mosquitto(tmp_path, monkeypatch):
    monkeypatch.setenv("PU_SECRET_KEY", "top-secret")
    async with running(tmp_path / "broker") as stand:
        assert b"top-secret" not in environment_of(stand.broker.broker_pid)


async def test_a_folder_with_a_long_name_works(tmp_path):
    directory = tmp_path / ("long" * 30) / "broker"
    async with running(directory) as stand:
        socket_path = stand.broker._mosquitto.socket_path
        assert len(os.fsencode(socket_path)) <= 107
        assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700
        await stand.broker.publish("topic", b"", timeout=DEADLINE)
    assert not socket_path.parent.exists()


async def test_a_gateway_that_is_killed_leaves_no_mosquitto(tmp_path):
    """decisions.md 20."""
    gateway = spawn(sys.executable, "-c", SCRIPT, tmp_path / "broker", stdout=subprocess.PIPE)
    try:
        line = await asyncio.to_thread(gateway.stdout.readline)
        while not line.strip().isdigit():  # log lines come first
            line = await asyncio.to_thread(gateway.stdout.readline)
    finally:
        gateway.kill()
        gateway.communicate()
    await ended(int(line))
    async with running(tmp_path / "broker") as stand:
        await stand.broker.publish("topic", b"", timeout=DEADLINE)


async def test_a_mosquitto_that_was_left_behind_is_stopped_in_order_and_a_new_one_started(tmp_path):
    """decisions.md 20: found by pid and start time."""
    directory = tmp_path / "broker"
    async with running(directory):
        pass
    left = spawn(find_executable("mosquitto"), "-c", "mosquitto.conf", cwd=directory, stderr=subprocess.DEVNULL)
    try:
        (directory / "mosquitto.pid").write_text(identity_of(left.pid))
        async with running(directory) as stand:
            assert await asyncio.to_thread(left.wait, DEADLINE) in {0, -signal.SIGTERM}
            await stand.broker.publish("topic", b"", timeout=DEADLINE)
    finally:
        left.kill()
        left.wait()


@pytest.mark.parametrize(
    "text", ["", "garbage", "1 2", "{pid} 1 {boot}", "999999999 1 {boot}", "{pid} {started} other-boot"]
)
async def test_a_pid_file_that_names_another_process_harms_nobody(tmp_path, text):
    directory = tmp_path / "broker"
    directory.mkdir()
    bystander = spawn("sleep", "60")
    try:
        pid, started, boot = identity_of(bystander.pid).split()
        (directory / "mosquitto.pid").write_text(text.format(pid=pid, started=started, boot=boot))
        async with running(directory):
            assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


async def test_a_mosquitto_that_dies_is_started_again_and_everybody_comes_back(tmp_path):
    async with running(tmp_path / "broker") as stand:
        unit = stand.fleet.add()
        client = await stand.connect(unit)
        first = stand.broker.broker_pid
        os.kill(first, signal.SIGKILL)
        assert await client.expect_end() == b""
        async with asyncio.timeout(DEADLINE):
            while stand.broker.broker_pid in {None, first}:
                with contextlib.suppress(MqttError):  # a publish that was under way when it died
                    await stand.broker.publish("topic", b"", timeout=DEADLINE)
        again = await stand.connect(unit)
        await again.send(publish_packet(unit.output, b"back", qos=1))
        assert await stand.inbox.wait_for(1) == [(unit.output, b"back")]


async def test_while_mosquitto_hangs_a_publish_fails_in_time(tmp_path):
    async with running(tmp_path / "broker") as stand:
        os.kill(stand.broker.broker_pid, signal.SIGSTOP)
        try:
            with pytest.raises(MqttError, match=r"did not acknowledge within 0\.1 s"):
                await stand.broker.publish("topic", b"", timeout=0.1)
        finally:
            os.kill(stand.broker.broker_pid, signal.SIGCONT)
        await stand.broker.publish("topic", b"", timeout=DEADLINE)


async def test_a_publish_without_a_broker_fails_in_time(tmp_path):
    with pytest.raises(MqttError):
        await broker_on(tmp_path / "broker").publish("topic", b"", timeout=0.05)


# --- starts that cannot work say what to do ---


async def test_an_occupied_port_is_named_with_its_variable(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        message = await refusal(broker_on(tmp_path / "broker", listen_port=port))
    assert f"127.0.0.1:{port} is already in use" in message
    assert "PU_MQTT_PORT" in message
    assert not (tmp_path / "broker").exists()  # it failed before anything was made


async def test_an_address_of_another_machine_is_named_with_its_variable(tmp_path):
    message = await refusal(broker_on(tmp_path / "broker", listen_host="203.0.113.1"))
    assert "PU_MQTT_LISTEN_HOST=203.0.113.1" in message


async def test_a_missing_mosquitto_is_one_line_with_the_command_that_installs_it(tmp_path):
    message = await refusal(broker_on(tmp_path / "broker", executable="no-such-mosquitto"))
    assert "apt-get install mosquitto" in message
    assert "make run" in message
    assert "\n" not in message


async def test_a_folder_that_cannot_be_used_is_named_with_its_variable(tmp_path):
    (tmp_path / "file").write_text("")
    message = await refusal(broker_on(tmp_path / "file" / "broker"))
    assert str(tmp_path / "file" / "broker") in message
    assert "PU_DATA_DIR" in message


async def test_a_second_gateway_on_the_same_folder_is_refused_and_the_first_goes_on(tmp_path):
    async with running(tmp_path / "broker") as stand:
        message = await refusal(broker_on(tmp_path / "broker"))
        assert "Another gateway already runs" in message
        await stand.broker.publish("topic", b"", timeout=DEADLINE)


async def test_a_mosquitto_that_ends_at_once_is_reported_with_its_last_words(tmp_path):
    fake = tmp_path / "fake"
    fake.write_text("#!/bin/sh\necho 'Error: no luck' >&2\nexit 3\n")
    fake.chmod(0o755)
    message = await refusal(broker_on(tmp_path / "broker", executable=str(fake)))
    assert "exit code 3" in message
    assert "no luck" in message
