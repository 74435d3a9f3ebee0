"""Blocks and what was signed over them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from django.db.models import Max

from flxdr.core.clock import format_timestamp
from ledger.chain.approvals import SignedApproval
from ledger.chain.record import ChainRecord
from ledger.errors import BlockMissing
from ledger.models import Approval, Block, Cosignature, LateApproval, ReleaseStatement

RECORDS_PER_QUERY = 500
_COLUMNS = (
    "height",
    "type",
    "timestamp",
    "block_hash",
    "prev_hash",
    "model_hash",
    "model_name",
    "model_version",
    "parent_model_hash",
    "round_id",
)


def head() -> Block:
    """The newest block.

    Raises:
        BlockMissing: the chain has no genesis yet.
    """
    block = Block.objects.order_by("-height").first()
    if block is None:
        raise BlockMissing("the chain is empty", action="Run the migrations; they make the genesis block.")
    return block


def block_at(height: int) -> Block:
    """The block at a height.

    Raises:
        BlockMissing: no such height.
    """
    block = Block.objects.filter(height=height).first()
    if block is None:
        newest = Block.objects.aggregate(newest=Max("height"))["newest"]
        raise BlockMissing(f"no block at height {height}", expected=f"a height from 0 to {newest}", height=height)
    return block


def first_block_from(height: int) -> Block | None:
    """The oldest block at that height or above it."""
    return Block.objects.filter(height__gte=height).order_by("height").first()


def blocks_page(limit: int, offset: int) -> tuple[list[Block], int]:
    """Blocks from the newest down, and how many there are."""
    return list(Block.objects.order_by("-height")[offset : offset + limit]), Block.objects.count()


def chain_id() -> str:
    """The genesis hash: what names this chain."""
    return block_at(0).block_hash


def approvals_of(block_hashes: Iterable[str]) -> dict[str, list[SignedApproval]]:
    """The approving signatures over those headers, the coordinator's among them."""
    found_: dict[str, list[SignedApproval]] = defaultdict(list)
    rows = Approval.objects.filter(block_hash__in=list(block_hashes), verdict=Approval.Verdict.APPROVE)
    for hash_, org_id, key_id, signature in rows.values_list("block_hash", "org_id", "key_id", "signature"):
        found_[hash_].append(SignedApproval(org_id, key_id, bytes(signature)))
    return found_


def late_approvals_of(block_hashes: Iterable[str]) -> dict[str, list[SignedApproval]]:
    """The approvals of those blocks that came after the seal; no certificate covers them."""
    found_: dict[str, list[SignedApproval]] = defaultdict(list)
    rows = LateApproval.objects.filter(block_hash__in=list(block_hashes))
    for hash_, org_id, key_id, signature in rows.values_list("block_hash", "org_id", "key_id", "signature"):
        found_[hash_].append(SignedApproval(org_id, key_id, bytes(signature)))
    return found_


def chain_records(first: int = 0, last: int | None = None) -> Iterator[ChainRecord]:
    """The blocks from height `first` to `last` (the newest) in order, with their columns, in constant memory."""
    after = first - 1
    while True:
        rows = Block.objects.filter(height__gt=after).order_by("height")
        if last is not None:
            rows = rows.filter(height__lte=last)
        batch = list(rows.values_list("header", *_COLUMNS)[:RECORDS_PER_QUERY])
        if not batch:
            return
        approvals = approvals_of(row[4] for row in batch)
        for header, *values in batch:
            columns = dict(zip(_COLUMNS, values, strict=True))
            columns["timestamp"] = format_timestamp(columns["timestamp"])
            yield ChainRecord(bytes(header), approvals.get(columns["block_hash"], []), columns)
        after = batch[-1][1]


def cosignatures(size: int) -> list[Cosignature]:
    """What the witnesses signed of the checkpoint of the first `size` blocks, with their keys."""
    return list(Cosignature.objects.filter(size=size).select_related("witness"))


def newest_cosigned() -> int | None:
    """The size of the newest checkpoint that any witness cosigned; None if there is none."""
    newest: int | None = Cosignature.objects.aggregate(newest=Max("size"))["newest"]
    return newest


def statements_about(height: int) -> list[ReleaseStatement]:
    """What organisations attest of the release at a height.

    Raises:
        BlockMissing: no such height.
    """
    block_at(height)
    return list(ReleaseStatement.objects.filter(height=height).order_by("org_id"))
