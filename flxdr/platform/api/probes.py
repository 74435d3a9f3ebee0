"""Probes for whatever supervises the coordinator."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from flxdr.platform.broker import require_broker
from flxdr.platform.heartbeat import require_worker

SMALLEST_FREE_BYTES = 64 * 2**20
_log = structlog.get_logger("flxdr.probes")
_checks: dict[str, Callable[[], None]] = {}


def register_check(name: str, check: Callable[[], None]) -> None:
    """Add a readiness check: it raises when its part is not ready."""
    _checks[name] = check


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers; nothing behind it is asked, so that a slow database does not restart the web process."""
    return JsonResponse({"status": "healthy"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when every part that a request needs answers, else 503 with the parts that do not."""
    parts = {name: _state(name, check) for name, check in _checks.items()}
    ready = all(state == "ready" for state in parts.values())
    return JsonResponse({"status": "ready" if ready else "not ready", "parts": parts}, status=200 if ready else 503)


def reasons() -> dict[str, str]:
    """Every readiness check, and why its part is not ready; an empty text where it is."""
    return {name: _reason(check) for name, check in _checks.items()}


def _reason(check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the reason
        return str(error) or type(error).__name__
    return ""


def _state(name: str, check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - whatever it is, the part is not ready
        _log.warning("not ready", part=name, reason=str(error))
        return "not ready"
    return "ready"


def database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def disk() -> None:
    if shutil.disk_usage(settings.FLXDR.data_dir).free < SMALLEST_FREE_BYTES:
        raise OSError("the disk is nearly full")


register_check("database", database)
register_check("broker", require_broker)
register_check("disk", disk)
register_check("worker", require_worker)
