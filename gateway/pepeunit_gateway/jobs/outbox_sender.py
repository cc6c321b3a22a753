"""Hand waiting commands to the broker. Source: design.md "Data flows"; delivered at least once."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from pepeunit_gateway.bus.subscription import Subscription
from pepeunit_gateway.errors import MqttError
from pepeunit_gateway.registry.outbox import Command, Outbox

__all__ = ["OutboxSender"]

log = structlog.get_logger(__name__)

_LONGEST_SLEEP = 30.0


class OutboxSender:
    """Sends due commands until cancelled; wakes up when one is queued or its retry is due.

    `deliver` returns when the broker has acknowledged and raises MqttError where it did not.
    """

    def __init__(self, outbox: Outbox, deliver: Callable[[Command], Awaitable[None]], queued: Subscription) -> None:
        self._outbox = outbox
        self._deliver = deliver
        self._queued = queued

    async def run(self) -> None:
        """Send what waits, sleep until there is more."""
        while True:
            while commands := await self._outbox.due():
                await self._send(commands)
            await self._sleep()

    async def _send(self, commands: list[Command]) -> None:
        begun = self._outbox.now()
        outcomes = await asyncio.gather(*(self._deliver(command) for command in commands), return_exceptions=True)
        sent, failed = [], []
        for command, outcome in zip(commands, outcomes, strict=True):
            if isinstance(outcome, MqttError):
                failed.append(command)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                sent.append(command)
        if sent:
            await self._outbox.sent(sent, begun=begun)
            for command in sent:
                log.info("command.sent", unit=str(command.unit_uuid), command=command.command.value)
        if failed:
            await self._outbox.failed(failed, random.random())  # noqa: S311 - spreads retries, no secret
            log.warning("command.failed", count=len(failed), hint="the broker did not acknowledge; tried again later")

    async def _sleep(self) -> None:
        due = await self._outbox.next_due()
        delay = _LONGEST_SLEEP
        if due is not None:
            delay = min(max((due - self._outbox.now()).total_seconds(), 0.0), _LONGEST_SLEEP)
        try:
            async with asyncio.timeout(delay):
                await anext(self._queued)
        except TimeoutError:
            return
