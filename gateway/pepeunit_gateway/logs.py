"""Structured logs: events with fields, as JSON lines or plain text (PU_LOG_FORMAT), on stderr.

Everything goes this way, in JSON each line one object with `time`, `level` and `event`: what libraries log, warnings
of Python, and errors that nobody caught.
"""

import logging
import sys
import threading
from types import TracebackType
from typing import Literal

import structlog

__all__ = ["configure_logs"]

log = structlog.get_logger(__name__)


def configure_logs(form: Literal["json", "plain"] | None, level: str) -> None:
    """Set up structlog, and let the libraries' own loggers speak through it.

    Without a `form` a person at a terminal gets plain lines, everything else JSON. Libraries are heard from WARNING on.
    """
    form = form or ("plain" if sys.stderr.isatty() else "json")
    renderer: structlog.typing.Processor
    if form == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        # plain tracebacks: the pretty ones print local variables, and those hold tokens and passwords
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, timestamp_key="time"
        )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
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
    logging.captureWarnings(True)  # noqa: FBT003 - the library's signature
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("process.failed", exc_info=error)


def _uncaught_in_thread(failure: threading.ExceptHookArgs) -> None:
    name = failure.thread.name if failure.thread else None
    log.critical("thread.failed", thread=name, exc_info=failure.exc_value)
