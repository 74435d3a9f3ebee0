"""Server time of the operator's pages over the database of `crowd`: the view and its template, without HTTP, SQLite."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator

import django

from benchmarks import crowd
from benchmarks.measure import Row, versions

LIMIT_MS = 300.0
REPEATS = 15
PAGES = {
    "overview": "/",
    "overview.panels": "/overview/panels",
    "rounds": "/rounds/",
    "rounds.last": "/rounds/?page=200",
    "rounds.filtered": "/rounds/?status=failed&model=tgnn&from=2026-01-01",
    "round.1000": f"/rounds/crowd-{crowd.ROUNDS - 1}/",
    "organizations": "/organizations/",
    "organization": "/organizations/crowd-0003/",
    "ledger.100k": "/ledger/",
    "ledger.100k.old": "/ledger/?before=5000",
    "ledger.100k.found": "/ledger/?q=round-5&type=release",
    "block.100k": "/ledger/blocks/50000/",
    "privacy": "/privacy/",
    "models": "/models/",
    "model": "/models/edge-classifier/",
    "detections": "/detections/",
    "audit.200k": "/audit/",
    "audit.200k.filtered": "/audit/?kind=block.sealed&subject=crowd-77",
    "audit.200k.searched": "/audit/?q=nothing-is-called-so",
    "notifications": "/notifications/",
    "confirmations": "/confirmations/",
    "admin.rounds": "/admin/federation/traininground/",
    "admin.blocks": "/admin/ledger/block/",
}


def rows() -> Iterator[Row]:
    """The `page.*` rows."""
    with tempfile.TemporaryDirectory(prefix="flxdr-bench-") as folder:
        os.environ["FL_DATA_DIR"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flxdr.settings")
        django.setup()
        from django.contrib.auth.models import User  # noqa: PLC0415 (after Django is set up, like all below)
        from django.core.management import call_command  # noqa: PLC0415
        from django.db import connection  # noqa: PLC0415
        from django.test import Client  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        crowd.populate()
        client = Client(headers={"host": "localhost"})
        client.force_login(
            User.objects.create_superuser("operator"), backend="django.contrib.auth.backends.ModelBackend"
        )
        for name, path in PAGES.items():
            yield _row(client, name, path)
        connection.close()


def _row(client: object, name: str, path: str) -> Row:
    times = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        response = client.get(path)  # type: ignore[attr-defined]
        times.append(time.perf_counter() - began)
        if response.status_code != 200:
            raise RuntimeError(f"{path} answers {response.status_code}")
    median = statistics.median(times[1:]) * 1000
    note = (
        f"{path} with {crowd.ORGANIZATIONS} organisations, {crowd.ROUNDS} rounds, {crowd.BLOCKS} blocks, "
        f"{crowd.EVENTS} events; slowest of {REPEATS} {max(times[1:]) * 1000:.0f} ms, the first {times[0] * 1000:.0f}; "
        + versions("django")
    )
    return Row(f"page.{name}", round(median, 1), None, None, "ms", LIMIT_MS, None, note)
