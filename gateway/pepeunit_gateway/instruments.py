"""What Prometheus is told of the parts, beside the requests. docs/metrics.md lists the names."""

from collections.abc import Mapping

from sqlalchemy import func, select

from pepeunit_gateway import __version__
from pepeunit_gateway.api.prometheus import CachedCount, Instrument, Instruments
from pepeunit_gateway.broker.managed import ManagedBroker
from pepeunit_gateway.datapipe.counters import IngestCounters
from pepeunit_gateway.datapipe.stages import Drop
from pepeunit_gateway.jobs.duty import Duty
from pepeunit_gateway.jobs.figures import JobFigures
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.outbox import WAITS
from pepeunit_gateway.storage.own_tables import outbox

__all__ = ["make_instruments"]


def make_instruments(
    context: Context, broker: ManagedBroker, ingest: IngestCounters, duty: Duty, jobs: JobFigures
) -> Instruments:
    """Return the figures of a gateway."""
    database, bus = context.database, context.bus

    async def count_waiting() -> int:
        async with database.read() as connection:
            return (await connection.execute(select(func.count()).select_from(outbox).where(WAITS))).scalar_one()

    waiting = CachedCount(count_waiting)
    return Instruments(
        (
            Instrument("pepeunit_info", "The version that runs.", lambda: {__version__: 1.0}, label="version"),
            *_broker(broker),
            Instrument(
                "pepeunit_bus_up",
                "1 while other gateways are heard, and where there are none.",
                lambda: float(bus.connected),
            ),
            *_ingest(ingest),
            *_jobs(duty, jobs),
            Instrument("pepeunit_outbox_waiting", "Commands to units that wait to be sent.", waiting),
            Instrument(
                "pepeunit_db_connections_in_use",
                "Connections to the database in use.",
                database.connections_in_use,
                label="pool",
            ),
            Instrument(
                "pepeunit_db_connections_limit", "Connections at most.", database.connections_limit, label="pool"
            ),
        ),
        (waiting,),
    )


def _jobs(duty: Duty, figures: JobFigures) -> tuple[Instrument, ...]:
    return (
        Instrument(
            "pepeunit_job_runs", "Runs of jobs by their end.", figures.runs, kind="counter", label=("job", "outcome")
        ),
        Instrument("pepeunit_job_last_seconds", "How long the last run took.", figures.seconds, label="job"),
        Instrument(
            "pepeunit_job_last_success_timestamp_seconds",
            "When a run last went well; 0 before the first.",
            figures.success,
            label="job",
        ),
        Instrument(
            "pepeunit_on_duty", "1 while this gateway does what one does alone.", lambda: float(duty.lease is not None)
        ),
    )


def _broker(broker: ManagedBroker) -> tuple[Instrument, ...]:
    return (
        Instrument("pepeunit_broker_sessions", "Units and other clients connected over MQTT.", lambda: broker.sessions),
        Instrument("pepeunit_broker_up", "1 while messages flow.", lambda: float(broker.connected)),
    )


def _ingest(counters: IngestCounters) -> tuple[Instrument, ...]:
    def outcomes() -> Mapping[str, float]:
        dropped = {f"dropped_{drop.value}": counters.dropped[drop.value] for drop in Drop}
        return {"stored": counters.stored, "unknown": counters.unknown, "bad": counters.bad, **dropped}

    return (
        Instrument(
            "pepeunit_ingest_messages",
            "Messages of units by what became of them.",
            outcomes,
            kind="counter",
            label="outcome",
        ),
        Instrument(
            "pepeunit_ingest_received",
            "Messages that came, also those that wait.",
            lambda: counters.received,
            "counter",
        ),
        Instrument("pepeunit_ingest_rows", "Rows written.", lambda: counters.rows, "counter"),
        Instrument(
            "pepeunit_ingest_outages",
            "Times that the database was away for the ingest.",
            lambda: counters.outages,
            "counter",
        ),
    )
