"""Hand waiting commands to the broker. Source: design.md "Data flows"; delivered at least once."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

import structlog

from pepeunit_gateway.bus.subscription import Subscription
from pepeunit_gateway.errors import MqttError
from pepeunit_gateway.jobs.duty import Duty
from pepeunit_gateway.registry.outbox import Command, Outbox
from pepeunit_gateway.storage.fences import LeaseLostError

__all__ = ["OutboxSender"]

log = structlog.get_logger(__name__)

_LONGEST_SLEEP = 30.0
_LONGEST_SLEEP_OF_MANY = 5.0  # a unit may connect here while its command waits


class OutboxSender:
    """Sends due commands until cancelled; wakes up when one is queued or its retry is due.

    Where gateways share a database but not a broker, each sends to the units that are connected to it, so that no
    broker acknowledges what its unit never hears; the one on duty removes what is for units that are connected nowhere.

    Args:
        outbox: the rows.
        deliver: returns when the broker has acknowledged and raises MqttError where it did not.
        queued: wakes the sender up.
        is_here: tells whether a unit is connected to this gateway; None if there is no other gateway.
        duty: whether this gateway is on duty; not needed without `is_here`.
    """

    def __init__(
        self,
        outbox: Outbox,
        deliver: Callable[[Command], Awaitable[None]],
        queued: Subscription,
        *,
        is_here: Callable[[UUID], bool] | None = None,
        duty: Duty | None = None,
    ) -> None:
        self._outbox = outbox
        self._deliver = deliver
        self._queued = queued
        self._is_here = is_here
        self._duty = duty

    async def run(self) -> None:
        """Send what waits, sleep until there is more."""
        while True:
            begun = self._outbox.now()
            while commands := await self._outbox.due(self._is_here):
                await self._send(commands)
            if self._is_here is None:
                await self._sleep(await self._outbox.next_due(), _LONGEST_SLEEP)
            else:
                await self._drop_unclaimed()
                await self._sleep(await self._outbox.next_due(begun), _LONGEST_SLEEP_OF_MANY)

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

    async def _drop_unclaimed(self) -> None:
        context = self._duty.context if self._duty else None
        if self._duty is None or context is None:
            return
        try:
            dropped = await Outbox(context).drop_unclaimed()
        except LeaseLostError:
            self._duty.refused()
            return
        if dropped:
            log.info("command.unclaimed", count=dropped, note="their units are connected to no gateway")

    async def _sleep(self, due: datetime | None, longest: float) -> None:
        delay = longest
        if due is not None:
            delay = min(max((due - self._outbox.now()).total_seconds(), 0.0), longest)
        try:
            async with asyncio.timeout(delay):
                await anext(self._queued)
        except TimeoutError:
            return
