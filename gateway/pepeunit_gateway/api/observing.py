"""What is told about each answer once it is sent: a line in the log and the figures for Prometheus.

api.request             method, route (the template, never the path or the query), status, ms, bytes, client,
                        scheme, agent and its uuid, request_id. INFO; DEBUG for a read that went well, of which a
                        busy gateway answers thousands a second
api.request.malformed   what came was no HTTP
"""

import logging
from collections.abc import Callable
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

__all__ = ["SERVER_LOG", "UNKNOWN_ROUTE", "Observer", "note_agent", "route_of"]

UNKNOWN_ROUTE = "none"
"""What stands for the route of paths that do not exist: whoever tries paths must not fill memory (W55)."""

_AGENT: web.RequestKey[Agent] = web.RequestKey("agent", Agent)
_READS = {"GET", "HEAD", "OPTIONS"}
_FIRST_ERROR = 400

log = structlog.get_logger(__name__)

_ExcInfo = BaseException | tuple[type[BaseException], BaseException, TracebackType | None] | bool | None


def note_agent(request: web.Request, agent: Agent) -> None:
    """Remember who asks, for the log."""
    request[_AGENT] = agent


def route_of(request: web.BaseRequest) -> str:
    """Return the template of the route, never the path, which may hold anything; `none` where there is no route."""
    if isinstance(request, web.Request):
        info = request.match_info
        resource = info.route.resource if info is not None else None
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


class _ServerLog:
    """Takes what aiohttp's server logs about connections: what a client sent stays out, it may hold a token."""

    def debug(self, message: str, *arguments: object, exc_info: _ExcInfo = None) -> None:
        self._tell(log.debug, message, arguments, exc_info)

    def exception(self, message: str, *arguments: object, exc_info: _ExcInfo = True) -> None:
        self._tell(log.error, message, arguments, exc_info)

    @staticmethod
    def _tell(say: Callable[..., object], message: str, arguments: tuple[object, ...], exc_info: _ExcInfo) -> None:
        if isinstance(exc_info, HttpProcessingError):
            log.info("api.request.malformed", error=type(exc_info).__name__)
        else:
            say("api.connection", note=message % arguments, exc_info=exc_info)


SERVER_LOG = cast("logging.Logger", _ServerLog())
"""Give it to aiohttp's server as its logger."""
