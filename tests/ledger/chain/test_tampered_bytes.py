"""Bytes that were tampered with, and the index over them: found at their height."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.chain.block import block_hash, index_columns, parse_header
from tests.ledger.chains import edited, hash_of, with_columns
from tests.ledger.tampering import TIP, first_bad, honest
from tests.ledger.tamperings import STORED


def test_the_chain_that_is_tampered_with_is_honest() -> None:
    assert honest().verified().report.chain_valid


@pytest.mark.parametrize("name", STORED)
def test_stored_bytes(name: str) -> None:
    tamper, height, code = STORED[name]
    chain = honest()
    assert first_bad(tamper(chain))[:2] == (height, code)


@pytest.mark.parametrize("column", ["height", "type", "timestamp", "block_hash", "prev_hash", "model_hash", "round_id"])
@pytest.mark.parametrize("height", [0, 3, TIP])
def test_a_column_that_differs(column: str, height: int) -> None:
    records = [with_columns(record) for record in honest().records]
    assert records[height].columns is not None
    records[height] = replace(records[height], columns={**(records[height].columns or {}), column: "x"})
    assert first_bad(records) == (height, "column_mismatch", column)


def test_an_edit_is_seen_by_its_columns_first() -> None:
    records = [with_columns(record) for record in honest().records]
    records[6] = replace(records[6], header=edited(records[6].header, model_hash=hash_of("evil")))
    assert first_bad(records) == (6, "column_mismatch", "block_hash")
    columns = index_columns(parse_header(records[6].header), block_hash(records[6].header))
    records[6] = replace(records[6], columns=columns)
    assert first_bad(records)[:2] == (6, "approval_signature")
