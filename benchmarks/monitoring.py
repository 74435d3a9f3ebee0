"""What the figures cost: a scrape over the database of `crowd`, and counting a request."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import django

from benchmarks import crowd
from benchmarks.measure import Row, versions

if TYPE_CHECKING:
    from flxdr.platform.metrics.figures import Source

LIMIT_MS = 100.0
"""Of a processor, for a scrape, which comes every 15 seconds."""
LIMIT_PERCENT = 2.0
"""Of the processor time of a request that reads the database."""
REPEATS = 15
REQUESTS = 300
READ = "/api/fl-blockchain/federation/status"


def rows() -> Iterator[Row]:
    """The `metrics.*` rows."""
    with tempfile.TemporaryDirectory(prefix="flxdr-bench-") as folder:
        os.environ["FL_DATA_DIR"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flxdr.settings")
        django.setup()
        from django.core.management import call_command  # noqa: PLC0415 (after Django is set up, like all below)
        from django.db import connection  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        yield _request()
        crowd.populate()
        yield _scrape()
        connection.close()


def _scrape() -> Row:
    from django.test import Client  # noqa: PLC0415

    from flxdr.platform.metrics.figures import sources  # noqa: PLC0415

    client = Client(headers={"host": "localhost"}, REMOTE_ADDR="127.0.0.1")
    times = [_processor_seconds(lambda: client.get("/metrics"), times=1) for _ in range(REPEATS)]
    parts = {each.name: _processor_seconds(partial(_read, each), times=1) * 1000 for each in sources()}
    slowest = max(parts, key=lambda name: parts[name])
    note = (
        f"/metrics with {crowd.ORGANIZATIONS} organisations, {crowd.ROUNDS} rounds, {crowd.BLOCKS} blocks, "
        f"{crowd.EVENTS} events, processor time; slowest of {REPEATS} {max(times) * 1000:.0f} ms; "
        f"most for {slowest}, {parts[slowest]:.0f} ms; " + versions("django")
    )
    median = round(statistics.median(times) * 1000, 1)
    return Row("metrics.scrape.crowd", median, None, None, "ms", LIMIT_MS, None, note)


def _read(source: Source) -> None:
    for _ in source.read():
        pass


def _request() -> Row:
    """Processor time of the middleware around nothing, as a share of a whole request's."""
    from django.http import HttpResponse  # noqa: PLC0415
    from django.test import Client, RequestFactory  # noqa: PLC0415
    from django.urls import resolve  # noqa: PLC0415

    from flxdr.platform.metrics.requests import RequestMetricsMiddleware  # noqa: PLC0415

    client = Client(headers={"host": "localhost"}, REMOTE_ADDR="127.0.0.1")
    request, answer = RequestFactory().get(READ), HttpResponse()
    request.resolver_match = resolve(READ)
    counting = RequestMetricsMiddleware(lambda _request: answer)
    whole = _processor_seconds(lambda: client.get(READ))
    share = 100 * _processor_seconds(lambda: counting(request)) / whole
    note = f"of {whole * 1000:.2f} ms for GET {READ} on an empty database; " + versions("django", "prometheus-client")
    return Row("metrics.request", round(share, 2), None, None, "% of a request", LIMIT_PERCENT, None, note)


def _processor_seconds(call: Callable[[], object], times: int = REQUESTS) -> float:
    """The mean of some calls, after one that fills the caches."""
    call()
    began = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - began) / times
