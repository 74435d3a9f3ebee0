"""Structured logging: one line an event, with the request, round and task it belongs to."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import Processor

_TALKATIVE = ("celery.beat", "celery.worker.strategy", "celery.app.trace")
_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def logging_configuration(*, level: str, file: Path, secret_paths: Sequence[str] = ()) -> dict[str, Any]:
    """The `dictConfig` of the site: key=value lines on the console, JSON lines in `file`.

    Args:
        level: the lowest level that is written.
        file: opened at the first line, and again after a log rotation moved it.
        secret_paths: beginnings of paths of which the next part is a secret, wherever in a line they stand.
    """
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "lines": _formatter(
                structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]), secret_paths
            ),
            "json": _formatter(structlog.processors.JSONRenderer(sort_keys=True, default=str), secret_paths),
        },
        "handlers": {
            "console": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "lines"},
            "file": {
                "class": "logging.handlers.WatchedFileHandler",
                "filename": str(file),
                "delay": True,
                "encoding": "utf-8",
                "formatter": "json",
            },
        },
        "root": {"handlers": ["console", "file"], "level": level},
        "loggers": {
            "django.db.backends": {"level": "INFO"},
            "django.server": {"handlers": ["console", "file"], "propagate": False},
            "axes": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},  # it names whole addresses, which hold secrets where hooks are called
            # The beat runs every few seconds: that it did is worth a line only to somebody who debugs it.
            **({} if level == "DEBUG" else {name: {"level": "WARNING"} for name in _TALKATIVE}),
        },
    }


def log_to_stdout() -> None:
    """Move the console's log from standard error to standard output.

    Services do this when they start; a command keeps its standard output for its answer.
    """
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.setStream(sys.stdout)


def _formatter(renderer: Processor, secret_paths: Sequence[str]) -> dict[str, Any]:
    return {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _SHARED,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer, _hiding(secret_paths)],
    }


def _hiding(secret_paths: Sequence[str]) -> Callable[[Any, str, Any], Any]:
    """Takes the secrets out of a finished line: Django names the path of every request that it refuses."""
    pattern = re.compile("(" + "|".join(map(re.escape, secret_paths)) + r")[^/\s?'\"\\]+") if secret_paths else None
    return lambda _logger, _method, line: line if pattern is None else pattern.sub(r"\1[hidden]", line)
