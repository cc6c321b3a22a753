"""The unit's place at the broker: connects for ever, subscribes, publishes or keeps for later."""

import asyncio

import pepeunit.clock as clock
import pepeunit.transport as transport
from pepeunit import DELIVERED, DROPPED, QUEUED
from pepeunit.errors import SessionError
from pepeunit.mqtt import CLOSED, Link
from pepeunit.outbox import Outbox

PAYLOAD_LIMIT = 255 * 1024  # the platform takes packets of 256 KB
_STEADY_MS = 30000  # a link that lived so long begins the back-off anew
_RETRY_MS = 5000  # between tries to send what was not acknowledged over a living link
_CONNECTION_KEYS = (
    "PU_DOMAIN",
    "PU_MQTT_HOST",
    "PU_MQTT_PORT",
    "PU_AUTH_TOKEN",
    "PU_MQTT_TLS",
    "PU_CA_CERT",
    "PU_MQTT_KEEPALIVE",
    "PU_MQTT_PING_INTERVAL",
)


class Session:
    """env and topics are functions: the Env in force, the topics to be subscribed to. deliver(topic, payload) must not
    wait; connected() is called when a link is up and subscribed."""

    def __init__(self, uuid, env, topics, deliver, connected, log, uptime):
        self._uuid = uuid
        self._env = env
        self._topics = topics
        self._deliver_to = deliver
        self._connected = connected
        self._log = log
        self._uptime = uptime
        self._link = None
        self._subscribed = []
        self._lock = asyncio.Lock()  # one change of the subscriptions at a time
        self._outbox = Outbox()
        self._news = asyncio.Event()
        self._told = None

    @property
    def online(self):
        return self._link is not None and not self._link.ended.is_set()

    async def keep(self):
        """Be connected, for ever."""
        failures = 0
        while True:
            began = self._uptime.ms()
            try:
                reason = await self._live()
            except asyncio.TimeoutError:
                reason = "the broker does not answer"
            except EOFError:
                reason = CLOSED
            except OSError as error:
                reason = "the broker is not reachable: " + str(error)
            except (ValueError, SessionError) as error:
                reason = str(error) or type(error).__name__
            finally:
                await self._release()
            if self._uptime.ms() - began > _STEADY_MS:
                failures = 0
            pause = clock.backoff_ms(failures)
            if reason != self._told:  # an outage of days must not fill the log with one line
                self._told = reason
                self._log.warning("%s; trying again in %.1f s, then until it is there" % (reason, pause / 1000))
            await asyncio.sleep_ms(pause)
            failures += 1

    async def _live(self):
        env = self._env()
        context = transport.tls_context(env.text("PU_CA_CERT")) if env.flag("PU_MQTT_TLS") else None
        link = self._link = Link(self._deliver, self._skipped)
        await link.open(
            env.text("PU_MQTT_HOST"),
            env.number("PU_MQTT_PORT", 1883),
            context,
            self._uuid,
            env.text("PU_AUTH_TOKEN"),
            min(max(env.number("PU_MQTT_KEEPALIVE", 60), 0), 65535),
            env.number("PU_MQTT_PING_INTERVAL", 20),
        )
        self._subscribed = []
        await self.resubscribe()
        self._told = None
        self._log.info(
            "connected to the broker at %s:%d" % (env.text("PU_MQTT_HOST"), env.number("PU_MQTT_PORT", 1883))
        )
        self._news.set()
        self._connected()
        await link.ended.wait()
        return link.reason

    async def _release(self, *, polite=False):
        link = self._link
        self._link = None
        if link:
            await link.close(polite=polite)

    async def leave(self):
        """Say good-bye to the broker."""
        await self._release(polite=True)

    def restart(self):
        """End the link so that the next one uses the present env."""
        if self._link:
            self._link.drop("env.json changed")

    async def resubscribe(self):
        """Subscribe to what schema.json names now and unsubscribe from the rest. A denied topic harms nothing else."""
        async with self._lock:
            link = self._link
            if link is None:
                return
            wanted = self._topics()
            gone = [topic for topic in self._subscribed if topic not in wanted]
            new = [topic for topic in wanted if topic not in self._subscribed]
            if gone:
                await link.unsubscribe(gone)
                self._subscribed = [topic for topic in self._subscribed if topic not in gone]
            for topic in await link.subscribe(new):
                new.remove(topic)
                self._log.warning("the subscription to " + topic + " is denied")
            self._subscribed.extend(new)

    async def publish(self, topic, payload):
        """DELIVERED: the broker acknowledged. QUEUED: kept until it does. DROPPED: too large, or no room to keep it."""
        if len(payload) > PAYLOAD_LIMIT:
            self._log.error("a message of %d bytes is too large and was dropped" % len(payload))
            return DROPPED
        if self.online and not self._outbox.holds(topic):
            if await self._link.publish(topic, payload):
                return DELIVERED
            kept = self._outbox.put_back(topic, payload)
        else:
            kept = self._outbox.put(topic, payload)
        self._news.set()
        return QUEUED if kept else DROPPED

    async def try_publish(self, topic, payload):
        """True if the broker acknowledged; what cannot be sent now is not kept."""
        return self.online and await self._link.publish(topic, payload)

    async def send_waiting(self):
        """Send what waits whenever there is a link, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self.online and len(self._outbox):
                item = self._outbox.first()
                if await self._link.publish(item[0], item[1]):
                    self._outbox.taken(item)
                else:
                    await asyncio.sleep_ms(clock.backoff_ms(0, _RETRY_MS))

    def _deliver(self, topic, payload):
        try:
            self._deliver_to(str(topic, "utf-8"), payload)
        except UnicodeError:
            self._log.warning("a message with an unreadable topic was passed over")

    def _skipped(self, topic, size):
        self._log.warning("a message of %d bytes on %s is too large for this board and was skipped" % (size, topic))


def same_connection(one, other):
    """Whether two Envs lead to the same session."""
    return all(one.get(key) == other.get(key) for key in _CONNECTION_KEYS)
