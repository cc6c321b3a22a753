"""What is told about each answer once it is sent: a line in the log and the figures for Prometheus.

api.request             method, route (the template, never the path or the query), status, ms, bytes, client,
                        scheme, agent and its uuid, request_id. INFO; DEBUG for a read that went well, of which a
                        busy gateway answers thousands a second
api.request.malformed   what came was no HTTP: status, client (the other end of the connection), error, request_id
"""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import cast

import structlog
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import HttpProcessingError

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.api.headers import request_id_of
from pepeunit_gateway.api.proxies import Proxies
from pepeunit_gateway.api.request_metrics import RequestMetrics
from pepeunit_gateway.api.requests import ServedRequest

__all__ = ["SERVER_LOG", "UNKNOWN_ROUTE", "Observer", "note_agent", "route_of"]

UNKNOWN_ROUTE = "none"
"""What stands for the route of paths that do not exist: whoever tries paths must not fill memory (W55)."""

_AGENT: web.RequestKey[Agent] = web.RequestKey("agent", Agent)
_MALFORMED: ContextVar[str | None] = ContextVar("malformed", default=None)
"""What was wrong with what came. Every request has a task, and so a context, of its own; the server tells what is wrong
before it answers, and of the answer afterwards."""

_READS = {"GET", "HEAD", "OPTIONS"}
_FIRST_ERROR = 400

log = structlog.get_logger(__name__)

_ExcInfo = BaseException | tuple[type[BaseException], BaseException, TracebackType | None] | bool | None


def note_agent(request: web.Request, agent: Agent) -> None:
    """Remember who asks, for the log."""
    request[_AGENT] = agent


def route_of(request: web.BaseRequest) -> str:
    """Return the template of the route, never the path, which may hold anything; `none` where there is no route."""
    if isinstance(request, web.Request) and not (isinstance(request, ServedRequest) and not request.is_routed):
        resource = request.match_info.route.resource
        if resource is not None:
            return resource.canonical
    return UNKNOWN_ROUTE


class Observer:
    """Told about every answer by the server.

    Args:
        proxies: know the client's address.
        metrics: count; None where Prometheus is off.
    """

    def __init__(self, proxies: Proxies, metrics: RequestMetrics | None) -> None:
        self._proxies = proxies
        self.metrics = metrics

    def answered(self, request: web.BaseRequest, response: web.StreamResponse, seconds: float) -> None:
        """Count and log one answer."""
        route = route_of(request)
        if self.metrics is not None:
            self.metrics.observe(
                route,
                request.method,
                response.status,
                seconds,
                received=request.content_length or 0,
                sent=response.body_length,
            )
        malformed = _MALFORMED.get()
        if malformed is not None:
            _tell_malformed(request, response, malformed)
            return
        level = logging.DEBUG if request.method in _READS and response.status < _FIRST_ERROR else logging.INFO
        if not log.is_enabled_for(level):
            return
        agent = request.get(_AGENT)
        log.log(
            level,
            "api.request",
            method=request.method,
            route=route,
            status=response.status,
            ms=round(seconds * 1000, 2),
            bytes=response.body_length,
            client=str(self._proxies.client(request)),
            scheme=self._proxies.scheme(request),
            agent=None if agent is None else agent.type.value,
            agent_uuid=None if agent is None or agent.uuid is None else str(agent.uuid),
            request_id=request_id_of(request),
        )

    def access_log(self) -> type[AbstractAccessLogger]:
        """Return the class that aiohttp makes one object of for each connection."""
        answered = self.answered

        class AccessLog(AbstractAccessLogger):
            def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
                answered(request, response, time)

        return AccessLog


def _tell_malformed(request: web.BaseRequest, response: web.StreamResponse, error: str) -> None:
    log.info(
        "api.request.malformed",
        status=response.status,
        client=request.remote,  # no header was read that could tell of another
        error=error,
        request_id=request_id_of(request),
    )


class _ServerLog:
    """Takes what aiohttp's server logs about connections: what a client sent stays out, it may hold a token."""

    def debug(self, message: str, *arguments: object, exc_info: _ExcInfo = None) -> None:
        self._tell(log.debug, message, arguments, exc_info)

    def exception(self, message: str, *arguments: object, exc_info: _ExcInfo = True) -> None:
        self._tell(log.error, message, arguments, exc_info)

    @staticmethod
    def _tell(say: Callable[..., object], message: str, arguments: tuple[object, ...], exc_info: _ExcInfo) -> None:
        if isinstance(exc_info, HttpProcessingError):
            _MALFORMED.set(type(exc_info).__name__)
        elif isinstance(exc_info, web.RequestPayloadError):  # what is left of a body was broken; its request is told
            log.debug("api.connection", note="a body that nobody read was broken")
        else:
            say("api.connection", note=message % arguments, exc_info=exc_info)


SERVER_LOG = cast("logging.Logger", _ServerLog())
"""Give it to aiohttp's server as its logger."""
