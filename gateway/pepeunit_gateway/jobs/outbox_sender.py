"""Hand waiting commands to the broker. Source: design.md "Data flows".

A command reaches the broker once, and at least once where the gateway or the broker dies in between.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

import structlog

from pepeunit_gateway.bus.subscription import Subscription
from pepeunit_gateway.errors import MqttError
from pepeunit_gateway.jobs.duty import Duty
from pepeunit_gateway.registry.outbox import UNCLAIMED, Command, Outbox
from pepeunit_gateway.storage.fences import LeaseLostError

__all__ = ["OutboxSender"]

log = structlog.get_logger(__name__)

_LONGEST_SLEEP = 30.0
_LOOK = 2.0  # seconds between looks for units that came while their command waits
_PACE = 0.25  # seconds from one round that sent something to the next, which takes what came meanwhile together
_GRACE = 0.5  # seconds for acknowledgements when the sender is stopped


class OutboxSender:
    """Sends due commands until cancelled; wakes up when one is queued, is due or is to be tried again.

    A command goes out once its unit listens to it here: no broker acknowledges what nobody hears, neither after a
    start, when units are still coming back, nor where gateways share a database but not a broker. What no unit
    listened to in 150 s goes, if this gateway is on duty and its broker was there all the time.

    Args:
        outbox: the rows.
        deliver: returns when the broker has acknowledged and tells whether the unit was subscribed there already, or
            raises MqttError.
        queued: wakes the sender up.
        hears: tells whether a unit listens to a topic at this gateway.
        is_up: tells whether the broker is there.
        duty: whether this gateway is on duty; None if there is no other.
    """

    def __init__(
        self,
        outbox: Outbox,
        deliver: Callable[[Command], Awaitable[bool]],
        queued: Subscription,
        *,
        hears: Callable[[UUID, str], bool],
        is_up: Callable[[], bool],
        duty: Duty | None = None,
    ) -> None:
        self._outbox = outbox
        self._deliver = deliver
        self._queued = queued
        self._hears = hears
        self._is_up = is_up
        self._duty = duty
        self._acknowledged: list[Command] = []  # at most a batch, not marked yet
        self._begun = outbox.now()
        self._up_since: datetime | None = None

    async def run(self) -> None:
        """Send what waits, sleep until there is more."""
        while True:
            await self._mark()  # what was acknowledged before this task failed is not sent once more
            begun = self._outbox.now()
            has_sent = False
            while commands := await self._outbox.due(self._hears):
                await self._send(commands)
                has_sent = True
            await self._drop_unclaimed()
            if has_sent:
                await asyncio.sleep(_PACE)
            await self._sleep(begun)

    async def _send(self, commands: list[Command]) -> None:
        self._begun = self._outbox.now()
        deliveries = {asyncio.create_task(self._deliver_one(command)): command for command in commands}
        try:
            await asyncio.wait(deliveries)
        except asyncio.CancelledError:
            await asyncio.wait(deliveries, timeout=_GRACE)
            for delivery in deliveries:
                delivery.cancel()
            await self._mark()
            raise
        await self._mark()
        failed = [command for delivery, command in deliveries.items() if not delivery.result()]
        if failed:
            await self._outbox.failed(failed, random.random())  # noqa: S311 - spreads retries, no secret
            log.warning(
                "command.failed",
                count=len(failed),
                hint="not acknowledged by the broker or not heard; tried again later",
            )

    async def _deliver_one(self, command: Command) -> bool:
        """Note the acknowledgement at once, whatever becomes of the others."""
        try:
            was_heard = await self._deliver(command)
        except MqttError:
            return False
        except Exception:  # the root of one command's task: logged once with its context, and tried again later
            log.exception("command.broken", unit=str(command.unit_uuid), command=command.command.value)
            return False
        if was_heard:
            self._acknowledged.append(command)
        return was_heard

    async def _mark(self) -> None:
        if self._acknowledged:
            await self._outbox.sent(self._acknowledged, begun=self._begun)
            for command in self._acknowledged:
                log.info("command.sent", unit=str(command.unit_uuid), command=command.command.value)
            self._acknowledged = []

    async def _drop_unclaimed(self) -> None:
        now = self._outbox.now()
        self._up_since = (self._up_since or now) if self._is_up() else None
        if self._up_since is None or now - self._up_since < UNCLAIMED:
            return
        outbox = self._outbox
        if self._duty is not None:
            if self._duty.context is None:
                return
            outbox = Outbox(self._duty.context)
        try:
            dropped = await outbox.drop_unclaimed()
        except LeaseLostError:
            if self._duty is not None:
                self._duty.refused()
            return
        if dropped:
            log.info("command.unclaimed", count=dropped, note="their units are connected nowhere")

    async def _sleep(self, begun: datetime) -> None:
        """Wait for the next command that is due later than `begun`; shorter where others wait for their units."""
        due = await self._outbox.next_due()
        longest = _LONGEST_SLEEP
        if due is not None and due <= begun:
            due, longest = await self._outbox.next_due(begun), _LOOK
        delay = longest
        if due is not None:
            delay = min(max((due - self._outbox.now()).total_seconds(), 0.0), longest)
        try:
            async with asyncio.timeout(delay):
                await anext(self._queued)
        except TimeoutError:
            return
