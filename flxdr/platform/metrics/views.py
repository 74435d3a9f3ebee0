"""`/metrics`: everything that Prometheus may know, for whoever holds the token."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from flxdr.core.errors import FlxdrError, Missing, Unauthenticated
from flxdr.platform.api.problems import problem_response
from flxdr.platform.auth.authentication import is_from_this_machine
from flxdr.platform.metrics.figures import StoredFigures
from flxdr.platform.metrics.processes import CountedByProcesses


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures as Prometheus' text format."""
    try:
        require_reader(request)
    except FlxdrError as error:
        return problem_response(error)
    registry = CollectorRegistry()
    registry.register(StoredFigures())
    registry.register(CountedByProcesses())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def require_reader(request: HttpRequest) -> None:
    """Let in who holds `FL_METRICS_TOKEN`; without such a token, in development, programs on this machine.

    Raises:
        Unauthenticated: the token is missing or another one.
        Missing: no token is set, so nobody may read here.
    """
    token = settings.FLXDR.metrics_token
    if token is None:
        if settings.FLXDR.is_production or not is_from_this_machine(request):
            raise Missing("there is no /metrics here", action="Set FL_METRICS_TOKEN to open it.")
        return
    given = request.META.get("HTTP_AUTHORIZATION", "")
    if not hmac.compare_digest(given.encode(errors="replace"), f"Bearer {token}".encode()):
        raise Unauthenticated("the figures need their token", expected="Authorization: Bearer <FL_METRICS_TOKEN>")
