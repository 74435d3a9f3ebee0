"""Rate, errors and duration of requests, by the pattern of their route: never by a path, which anybody may make up."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter, Gauge, Histogram

from flxdr.platform.metrics.processes import INSTRUMENTS, make_folder

NO_ROUTE = "none"
"""Of what no route serves: unknown paths, static files, requests that were refused on the way to a view."""
OTHER_METHOD = "other"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUESTS = Counter(
    "flxdr_http_requests",
    "Requests answered, by method, route and class of the status.",
    ("method", "route", "status"),
    registry=INSTRUMENTS,
)
SECONDS = Histogram(
    "flxdr_http_request_seconds",
    "Seconds from a request's arrival to its answer; a long poll waits for up to 25.",
    ("method", "route"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    registry=INSTRUMENTS,
)
IN_PROGRESS = Gauge(
    "flxdr_http_requests_in_progress",
    "Requests being answered now, those that wait in a long poll included.",
    ("method",),
    multiprocess_mode="livesum",
    registry=INSTRUMENTS,
)
RECEIVED = Counter(
    "flxdr_http_request_bytes",
    "Declared lengths of the bodies of requests, such as submissions, by route.",
    ("route",),
    registry=INSTRUMENTS,
)


class RequestMetricsMiddleware:
    """Counts and times every request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        make_folder()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        method = request.method if request.method in METHODS else OTHER_METHOD
        in_progress = IN_PROGRESS.labels(method)
        in_progress.inc()
        try:
            response = self.get_response(request)
        finally:
            in_progress.dec()
        _count(request, method, response.status_code, time.perf_counter() - began)
        return response


def _count(request: HttpRequest, method: str, status: int, seconds: float) -> None:
    route = request.resolver_match.route if request.resolver_match else NO_ROUTE
    REQUESTS.labels(method, route, f"{status // 100}xx").inc()
    SECONDS.labels(method, route).observe(seconds)
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdecimal() and length != "0":
        RECEIVED.labels(route).inc(int(length))
