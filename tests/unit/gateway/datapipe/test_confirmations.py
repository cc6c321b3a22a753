import asyncio
from uuid import UUID

from structlog.testing import capture_logs

from pepeunit_gateway.datapipe.confirmations import Confirmations
from pepeunit_gateway.storage.telemetry import Awaited

ONE, TWO = UUID(int=1), UUID(int=2)


class Judge:
    """Notes the reports; waits at the first one until it may go on."""

    def __init__(self, fails_on=None):
        self.heard, self.fails_on = [], fails_on
        self.began, self.may_go_on, self.enough = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, unit, commit):
        self.heard.append((unit, commit))
        self.began.set()
        await self.may_go_on.wait()
        if len(self.heard) == 2:
            self.enough.set()
        if unit == self.fails_on:
            raise RuntimeError("git is away")


async def run(judge, *reports):
    confirmations = Confirmations(judge)
    confirmations.start()
    async with asyncio.timeout(10):
        confirmations.add(reports[:1])
        await judge.began.wait()
        for report in reports[1:]:
            confirmations.add([report])
        judge.may_go_on.set()
        await judge.enough.wait()
        await confirmations.stop()


async def test_of_a_unit_only_the_newest_report_waits():
    judge = Judge()
    await run(judge, Awaited(ONE, "a"), Awaited(TWO, "b"), Awaited(TWO, "c"))
    assert judge.heard == [(ONE, "a"), (TWO, "c")]


async def test_trouble_with_one_unit_does_not_silence_the_next():
    judge = Judge(fails_on=ONE)
    with capture_logs() as logs:
        await run(judge, Awaited(ONE, "a"), Awaited(TWO, None))
    assert judge.heard == [(ONE, "a"), (TWO, None)]
    assert [entry["event"] for entry in logs] == ["datapipe.state.judging_failed"]


async def test_a_stop_does_not_wait_for_a_report_that_is_being_judged():
    judge = Judge()
    confirmations = Confirmations(judge)
    confirmations.start()
    confirmations.add([Awaited(ONE, "a")])
    async with asyncio.timeout(10):
        await judge.began.wait()
        await confirmations.stop()
