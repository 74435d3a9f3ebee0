"""The ledger's figures for `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator

from flxdr.platform.metrics.figures import Figure, Sample, Source, register_source
from ledger import selectors
from ledger.selectors.proposals import waiting_by_status

HEIGHT = Figure("flxdr_block_height", "Height of the newest block; genesis has 0.")
VERIFIED = Figure(
    "flxdr_blocks_verified", "Blocks that the last full verification, or one that continued it, verified."
)
VALID = Figure("flxdr_chain_valid", "1 if the last full verification found every block good, 0 if not.")
VERIFIED_AT = Figure(
    "flxdr_chain_verified_timestamp_seconds", "When the last full verification ended, in seconds since 1970."
)
PROPOSALS = Figure("flxdr_proposals", "Proposed blocks that wait for their turn or for approvals.", ("status",))


def register() -> None:
    """Let `/metrics` tell them."""
    register_source(Source("ledger", (HEIGHT, VERIFIED, VALID, VERIFIED_AT, PROPOSALS), read))


def read() -> Iterator[Sample]:
    yield HEIGHT.at(selectors.head().height)
    for status, count in waiting_by_status().items():
        yield PROPOSALS.at(count, status)
    last = selectors.last_pass()
    if last is not None:
        assert last.verified_to is not None  # constraints of the table
        assert last.ended_at is not None
        yield VERIFIED.at(last.verified_to + 1)
        yield VALID.at(bool(last.valid))
        yield VERIFIED_AT.at(last.ended_at.timestamp())
