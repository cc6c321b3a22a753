"""Structured logs: events with fields, as JSON lines or plain text (PU_LOG_FORMAT), on stderr."""

import logging
import sys
from typing import Literal

import structlog

__all__ = ["configure_logs"]


def configure_logs(form: Literal["json", "plain"] | None, level: str) -> None:
    """Set up structlog, and let the libraries' own loggers speak through it.

    Without a `form` a person at a terminal gets plain lines, everything else JSON.
    """
    form = form or ("plain" if sys.stderr.isatty() else "json")
    renderer: structlog.typing.Processor
    if form == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        # plain tracebacks: the pretty ones print local variables, and those hold tokens and passwords
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if form == "json":
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer], foreign_pre_chain=shared
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelName(level)))
