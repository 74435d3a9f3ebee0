"""Reads: pages, lineage, streams of records."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flxdr.core.clock import parse_timestamp
from ledger import selectors
from ledger.chain.block import parse_header
from ledger.chain.verify import verify_chain
from ledger.errors import BlockMissing, ModelUnknown
from ledger.models import Block
from ledger.selectors import blocks
from tests.ledger.chains import hash_of
from tests.ledger.members import Consortium


@pytest.fixture
def releases(consortium: Consortium) -> Consortium:
    consortium.admit("org-a", "org-b")
    for number in (1, 2, 3):
        consortium.release(number, ["org-a", "org-b"])
    return consortium


@pytest.mark.usefixtures("releases")
def test_pages_go_from_the_newest_down() -> None:
    page, total = selectors.blocks_page(2, 1)
    assert ([block.height for block in page], total) == ([4, 3], 6)


@pytest.mark.usefixtures("releases")
def test_lineage_goes_from_the_model_to_its_first_parent() -> None:
    page, total = selectors.lineage(hash_of("global 3"), 10, 0)
    assert [(block.height, block.model_version) for block in page] == [(5, 3), (4, 2), (3, 1)]
    assert total == 3
    page, total = selectors.lineage(hash_of("global 2"), 1, 1)
    assert ([block.model_version for block in page], total) == ([1], 2)
    assert selectors.lineage(hash_of("global 3"), 10, 5) == ([], 3)


@pytest.mark.usefixtures("releases")
@pytest.mark.parametrize("offset", [0, 3])
def test_lineage_of_an_unknown_model(offset: int) -> None:
    with pytest.raises(ModelUnknown):
        selectors.lineage(hash_of("nothing"), 10, offset)


def test_lineage_of_a_round_that_changed_nothing_ends(releases: Consortium) -> None:
    model = hash_of("global 3")
    block = selectors.head()
    _insert(4, model, model, height=block.height + 1)
    page, total = selectors.lineage(model, 10, 0)
    assert [block.model_version for block in page] == [4, 3, 2, 1]
    assert total == 4


def test_lineage_crosses_models(releases: Consortium) -> None:
    releases.release(1, ["org-a"], model_name="edge", round_id="edge-1", parent_model_hash=hash_of("global 2"))
    page, _ = selectors.lineage(hash_of("edge 1"), 10, 0)
    assert [(block.model_name, block.model_version) for block in page] == [("edge", 1), ("global", 2), ("global", 1)]


def test_ten_thousand_ancestors_by_one_query(consortium: Consortium) -> None:
    Block.objects.bulk_create(
        [_block(number, hash_of(str(number)), hash_of(str(number - 1)), height=number) for number in range(1, 10_001)]
    )
    started = time.perf_counter()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page, total = selectors.lineage(hash_of("10000"), 100, 9_850)
    assert len(queries) == 1
    assert time.perf_counter() - started < 1
    assert total == 10_000
    assert [block.height for block in page] == list(range(150, 50, -1))


def test_records_stream_in_batches(releases: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "RECORDS_PER_QUERY", 2)
    records = list(selectors.chain_records())
    assert [parse_header(record.header).height for record in records] == list(range(6))
    assert [len(record.approvals) for record in records] == [1, 1, 1, 3, 3, 3]
    middle = list(selectors.chain_records(2, 4))
    assert middle == records[2:5]
    assert list(selectors.chain_records(9)) == []


@pytest.mark.usefixtures("releases")
def test_members_are_those_with_keys_on_the_chain() -> None:
    assert list(selectors.members()) == ["org-a", "org-b"]
    assert selectors.is_member("org-a")
    assert not selectors.is_member("coordinator")
    assert not selectors.is_member("org-x")


@pytest.mark.parametrize("height", [1, 10**30])
def test_no_such_block(consortium: Consortium, height: int) -> None:
    with pytest.raises(BlockMissing):
        selectors.block_at(height)


@pytest.mark.usefixtures("empty_ledger")
def test_an_empty_ledger_has_no_head() -> None:
    with pytest.raises(BlockMissing):
        selectors.head()


def test_the_services_state_is_the_verifiers(releases: Consortium) -> None:
    assert selectors.chain_state("global") == verify_chain(selectors.chain_records()).state


def _block(version: int, model_hash: str, parent: str, *, height: int) -> Block:
    return Block(
        height=height,
        type="release",
        timestamp=parse_timestamp("2026-01-01T00:00:00.000000Z"),
        block_hash=hash_of(f"block {height}"),
        prev_hash=hash_of(f"block {height - 1}"),
        model_hash=model_hash,
        model_name="global",
        model_version=version,
        parent_model_hash=parent,
        round_id=f"round-{version}-abc",
        header=b"{}",
    )


def _insert(*args: Any, **kwargs: Any) -> None:
    _block(*args, **kwargs).save()
