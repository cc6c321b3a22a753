"""The parts made from the settings: what each is told of them."""

import secrets
import socket
from datetime import UTC, datetime

from pepeunit_gateway.access.cipher import Cipher
from pepeunit_gateway.broker.managed import ManagedBrokerConfig
from pepeunit_gateway.bus.local import LocalBus
from pepeunit_gateway.bus.port import Bus
from pepeunit_gateway.datapipe.ingest import IngestConfig
from pepeunit_gateway.errors import CipherError, SettingsError
from pepeunit_gateway.firmware.archives import ArchiveCache
from pepeunit_gateway.firmware.mirrors import Credentials, MirrorCache
from pepeunit_gateway.firmware.platforms import Platforms
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.telemetry import TelemetryStore

__all__ = ["broker_config", "holder_of", "ingest_config", "make_bus", "make_context", "utc_now"]

_GIT_TIMEOUT = 120.0


def utc_now() -> datetime:
    """The clock of the gateway."""
    return datetime.now(UTC)


def holder_of(settings: Settings) -> str:
    """Return who this process is among all gateways, `<machine>:<port>/<process>`: for Admins, leases and jobs."""
    return f"{socket.gethostname()}:{settings.http_port}/{secrets.token_hex(4)}"


def make_bus(settings: Settings) -> Bus:
    """Choose what joins the parts; the library of Redis is loaded only where it is used."""
    url = settings.redis_url.get_secret_value()
    if not url:
        return LocalBus()
    from pepeunit_gateway.bus.redis import RedisBus  # costs a start 50 ms and the process 7 MB

    return RedisBus(url)


def make_context(settings: Settings, database: Database) -> Context:
    """Return the doors to the outside; the bus is not started yet.

    Raises:
        SettingsError: PU_ENCRYPT_KEY or PU_REDIS_URL cannot be used.
    """
    mirrors = MirrorCache(
        settings.repo_path,
        max_size=settings.max_external_repo_size * 1024 * 1024,
        allow_private=settings.git_allow_private,
        allow_file=settings.git_file_folders,
        timeout=_GIT_TIMEOUT,
    )
    try:
        cipher = Cipher(settings.encrypt_key.get_secret_value(), max_length=settings.max_cipher_length)
    except CipherError as error:
        raise SettingsError(error.message) from None
    return Context(
        settings=settings,
        database=database,
        telemetry=TelemetryStore(database),
        mirrors=mirrors,
        archives=ArchiveCache(
            settings.data_dir / "archives", mirrors, max_bytes=settings.archive_cache_size * 1024 * 1024
        ),
        platforms=Platforms(mirrors.web, utc_now, github=_github_token(settings)),
        bus=make_bus(settings),
        cipher=cipher,
        clock=utc_now,
    )


def _github_token(settings: Settings) -> Credentials | None:
    token = settings.github_token_pat.get_secret_value()
    return Credentials(settings.github_token_name, token) if token else None


def ingest_config(settings: Settings, previous_domains: tuple[str, ...] = ()) -> IngestConfig:
    """Return the limits of the ingest."""
    return IngestConfig(
        domain=settings.domain,
        previous_domains=previous_domains,
        max_payload=settings.max_payload_bytes,
        flush_interval=settings.dp_buffer_flush_interval,
        flush_size=settings.dp_buffer_max_size,
        sync_interval=settings.dp_config_sync_interval,
        log_expiration=settings.unit_log_expiration,
    )


def broker_config(settings: Settings, previous_domains: tuple[str, ...] = ()) -> ManagedBrokerConfig:
    """Return where the broker lies and listens, and its limits; what comes to a previous domain is heard too."""
    domains = (settings.domain, *previous_domains)
    # what units say; not what they are told, or every command would have a subscriber (jobs/outbox_sender.py)
    topics = "output_base_topic/+/+/pepeunit", "+/pepeunit"
    return ManagedBrokerConfig(
        directory=settings.data_dir / "broker",
        subscriptions=tuple(f"{name}/{topic}" for name in domains for topic in topics),
        listen_host=settings.listen_host_mqtt,
        listen_port=settings.mqtt_port,
        max_packet_size=settings.max_payload_bytes,
        max_topic_levels=settings.mqtt_max_topic_levels,
        max_client_id_len=settings.mqtt_max_client_id_len,
        max_qos=settings.mqtt_max_qos,
        max_clients=settings.mqtt_max_clients,
        keepalive=settings.mqtt_keepalive,
    )
