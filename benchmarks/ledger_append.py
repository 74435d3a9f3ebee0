"""Two processes that append 1,000 blocks each to one chain: how fast, and that nothing forks or gets lost."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Row, versions
from tests.ledger.racing import KINDS, race

PROCESSES = 2
RELEASES = 1_000


def rows(releases: int = RELEASES) -> Iterator[Row]:
    """`ledger.append.*`."""
    for kind in KINDS:
        with tempfile.TemporaryDirectory(prefix="flxdr-bench-") as folder:
            result = race(kind, Path(folder), processes=PROCESSES, releases=releases)
        result.assert_nothing_was_lost(PROCESSES, releases)
        blocks = PROCESSES * releases
        yield Row(
            f"ledger.append.{kind}",
            round(result.seconds / blocks * 1000, 2),
            None,
            None,
            "ms/block",
            None,
            None,
            f"{PROCESSES} processes propose, sign (ML-DSA-65) and seal {releases} releases each: {blocks} blocks, no "
            f"fork, gap or loss, {blocks / result.seconds:.0f} blocks/s; {versions('django', 'psycopg')}",
        )
