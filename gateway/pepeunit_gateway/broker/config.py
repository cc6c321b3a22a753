"""What the managed broker is told. Plain values: `app` makes them out of the settings."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ManagedBrokerConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedBrokerConfig:
    """Settings of the managed mosquitto, the front door and the gateway's own session.

    Attributes:
        directory: folder of the broker alone, made with mode 0700 if missing (`<data>/broker`).
        subscriptions: topic filters of the gateway's own session, QoS 1.
        listen_host: address of the front door (PU_MQTT_LISTEN_HOST).
        listen_port: port of the front door (PU_MQTT_PORT); 0 takes a free one, `ManagedBroker.port` tells which.
        max_packet_size: bytes of a whole packet, its header included (PU_MQTT_MAX_PAYLOAD_SIZE, there in KiB).
        max_topic_levels: levels of a topic; a longer one is denied (PU_MQTT_MAX_TOPIC_LEVELS).
        max_client_id_len: characters of a client id (PU_MQTT_MAX_CLIENT_ID_LEN).
        max_qos: highest QoS a device may publish with (PU_MQTT_MAX_QOS).
        max_clients: open connections of devices (PU_MQTT_MAX_CLIENTS); more are refused as "unavailable".
        keepalive: seconds, of the gateway's own session (PU_MQTT_KEEPALIVE).
        max_pending: messages that may wait in the handler before the gateway stops reading from the broker.
        connect_timeout: seconds from a device's TCP connection to its CONNACK.
        stall_timeout: seconds a device may leave its full socket unread before its session ends.
        executable: name or path of mosquitto.
    """

    directory: Path
    subscriptions: tuple[str, ...]
    listen_host: str = "127.0.0.1"
    listen_port: int = 0
    max_packet_size: int = 256 * 1024
    max_topic_levels: int = 5
    max_client_id_len: int = 512
    max_qos: int = 2
    max_clients: int = 10_000
    keepalive: int = 60
    max_pending: int = 4096
    connect_timeout: float = 10.0
    stall_timeout: float = 30.0
    executable: str = "mosquitto"
