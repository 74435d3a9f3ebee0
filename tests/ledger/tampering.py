"""Tampering: who does it, to what, and what the verifier has to say."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from ledger.chain.record import ChainRecord
from ledger.chain.verify import verify_chain
from tests.ledger.chains import ChainBuilder, federation

MEMBERS = ("org-a", "org-b", "org-c", "org-d")
RELEASES = 4
NOW = datetime(2100, 1, 1, tzinfo=UTC)
"""When the chains are verified."""
# genesis, four admissions at 1..4, releases at 5..8
TIP = len(MEMBERS) + RELEASES


def honest() -> ChainBuilder:
    """The chain that the tests tamper with."""
    return federation(*MEMBERS, releases=RELEASES)


def first_bad(records: Iterable[ChainRecord], **options: Any) -> tuple[int, str, str]:
    """Height, check and field of the first bad block; the rest of the report has to agree with it."""
    report = verify_chain(records, **{"tip": TIP, "now": NOW, **options}).report
    assert not report.chain_valid
    assert report.first_bad is not None
    assert report.blocks_verified == report.first_bad.height
    assert report.suspect_range is not None
    first, last = report.suspect_range
    assert first in (report.first_bad.height, report.first_bad.height - 1)
    assert last is not None
    assert last >= report.first_bad.height
    assert report.first_bad.expected != report.first_bad.actual
    return report.first_bad.height, report.first_bad.code, report.first_bad.field
