"""Whether the index of governance entries says what the governance blocks say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ledger.chain.block import parse_header
from ledger.chain.entries import index_entry
from ledger.chain.failures import FirstBad
from ledger.chain.record import ChainRecord
from ledger.models import GovernanceEntry
from ledger.selectors.blocks import RECORDS_PER_QUERY

_COLUMNS = ("height", "action", "org_id", "key_id", "model_name", "model_version")


class EntryIndex:
    """Holds the index of governance entries against the blocks of a range that pass by, in constant space."""

    def __init__(self, first: int, last: int) -> None:
        rows = GovernanceEntry.objects.filter(height__gte=first, height__lte=last).order_by("height")
        self._rows = rows.values(*_COLUMNS).iterator(RECORDS_PER_QUERY)
        self.difference: FirstBad | None = None
        self._next = next(self._rows, None)

    def watched(self, records: Iterable[ChainRecord]) -> Iterator[ChainRecord]:
        """The records as they are; afterwards `difference` says where the index first differs."""
        for record in records:
            yield record
            # Only now: the verifier has accepted the block.
            if record.columns is None or record.columns["type"] == "release":
                continue
            header = parse_header(record.header)
            for action in header.governance.actions:
                self._compare({"height": header.height, **index_entry(action)})
        if self._next is not None:
            self._differ(int(self._next["height"]), None, self._next)

    def _compare(self, expected: dict[str, Any]) -> None:
        if self._next == expected:
            self._next = next(self._rows, None)
        else:
            self._differ(expected["height"], expected, self._next)
            self._rows, self._next = iter(()), None

    def _differ(self, height: int, expected: object, actual: object) -> None:
        if self.difference is None:
            self.difference = FirstBad(
                height=height,
                code="governance_index_mismatch",
                field=f"governance entry of block {height}",
                expected=str(expected or "no entry"),
                actual=str(actual or "no entry"),
            )
