"""Every tampering of the list in a database, by somebody who has its password and keeps its index consistent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from flxdr.core.clock import ManualClock, parse_timestamp
from flxdr.core.errors import FlxdrError
from ledger.chain.block import block_hash, index_columns, parse_header
from ledger.chain.entries import COORDINATOR
from ledger.chain.record import ChainRecord
from ledger.chain.tree import Frontier
from ledger.models import Approval, Block, TreeNode
from ledger.services.verification import verify_ledger
from tests.ledger.chain.test_broken_rules import SIGNED
from tests.ledger.chain.test_governance import WRONG
from tests.ledger.tampering import MEMBERS, NOW, TIP, honest
from tests.ledger.tamperings import DIFFERENT, REFUSED, STORED

pytestmark = pytest.mark.usefixtures("empty_ledger")


def store(records: Sequence[ChainRecord]) -> None:
    """Write the records as rows, columns and tree as the headers say; what is no header keeps the place's columns."""
    frontier = Frontier()
    nodes = [node for record in records for node in frontier.append(record.header)]
    TreeNode.objects.bulk_create(TreeNode(position=number, hash=node) for number, node in enumerate(nodes))
    before = honest().records
    heights = [_header(record).height if _header(record) else place for place, record in enumerate(records)]
    ordered = heights == sorted(set(heights))
    for place, record in enumerate(records):
        header = _header(record)
        columns: dict[str, Any] = {}
        if header is not None:
            columns = dict(index_columns(header, block_hash(record.header)))
        else:
            columns = dict(index_columns(parse_header(before[place].header), block_hash(before[place].header)))
            columns["block_hash"] = block_hash(record.header)
        columns |= {"height": heights[place] if ordered else place, "timestamp": parse_timestamp(columns["timestamp"])}
        Block.objects.create(**columns, header=record.header)
        Approval.objects.bulk_create(
            Approval(
                block_hash=columns["block_hash"],
                org_id=approval.org_id,
                key_id=approval.key_id,
                signature=approval.signature,
            )
            for approval in record.approvals
        )


def _header(record: ChainRecord) -> Any:
    try:
        return parse_header(record.header)
    except FlxdrError:
        return None


def found(records: Sequence[ChainRecord]) -> tuple[int, str]:
    """Height and code of the first bad block; (height, REFUSED) if the database does not even take it."""
    try:
        with transaction.atomic():
            store(records)
    except IntegrityError:
        return Block.objects.count(), REFUSED
    bad = verify_ledger(clock=ManualClock(NOW)).first_bad
    assert bad is not None
    return bad.height, bad.code


@pytest.mark.parametrize("name", STORED)
def test_tampered_bytes(name: str) -> None:
    make, height, code = STORED[name]
    expected = DIFFERENT.get(name, code)
    place, said = found(make(honest()))
    assert said == expected
    assert said == REFUSED or place == height


@pytest.mark.parametrize("name", SIGNED)
def test_rules_broken_with_every_signature(name: str) -> None:
    make, code, _ = SIGNED[name]
    chain = honest()
    chain.append(make(chain), [COORDINATOR, *MEMBERS])
    place, said = found(chain.records)
    assert said == DIFFERENT.get(name, code)
    assert said == REFUSED or place == TIP + 1


@pytest.mark.parametrize("name", WRONG)
def test_wrong_governance_entries(name: str) -> None:
    make, code, _ = WRONG[name]
    chain = honest()
    chain.govern(make(chain))
    assert found(chain.records) == (TIP + 1, code)
