"""Blocks as somebody looks for them: filtered, in pages that cost the same at every height."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from flxdr.platform.keyset import Cursor, Slice, slice_of
from ledger.chain.entries import COORDINATOR
from ledger.chain.fields import is_hash
from ledger.errors import ModelUnknown
from ledger.models import Approval, Block, GovernanceEntry, SignerKey

FOUND_AT_MOST = 200
"""Blocks that a search finds: what more begin with the same text is to be typed further."""
SHORTEST_DIGEST = 6
"""Characters of a hash from which on a search looks for hashes: fewer are a height, or would find any block."""
_BEYOND_HEX = "g"
"""Sorts after every text that continues a hexadecimal one."""


@dataclass(frozen=True)
class BlockFilter:
    """Which blocks; what is empty does not restrict.

    `text` is a height, or the beginning of a round's id, or at least six characters of a block's or a model's hash.
    """

    type: str = ""
    model_name: str = ""
    text: str = ""
    since: datetime | None = None
    before: datetime | None = None


def blocks_matching(wanted: BlockFilter, cursor: Cursor, *, limit: int) -> tuple[Slice[Block], int]:
    """A page of the blocks, newest first, without their headers, and how many match.

    `is_withdrawn` says what became of a release.
    """
    rows = _matching(wanted)
    lowest, highest = _bounds(wanted)
    page = slice_of(_told(rows), cursor, key="height", limit=limit, lowest=lowest, highest=highest)
    return page, rows.count()


def releases_at(heights: Iterable[int]) -> list[Block]:
    """The blocks at those heights, newest first, without their headers; with `is_withdrawn`."""
    return list(_told(Block.objects.filter(height__in=list(heights))).order_by("-height"))


def _told(rows: QuerySet[Block]) -> QuerySet[Block]:
    withdrawals = GovernanceEntry.objects.filter(
        action="withdraw_release",
        model_name=OuterRef("model_name"),
        model_version__lte=OuterRef("model_version"),
        height__gt=OuterRef("height"),
    )
    return rows.defer("header").annotate(is_withdrawn=Exists(withdrawals))


def _matching(wanted: BlockFilter) -> QuerySet[Block]:
    rows = Block.objects.all()
    if wanted.type:
        rows = rows.filter(type=wanted.type)
    if wanted.model_name:
        rows = rows.filter(model_name=wanted.model_name)
    if wanted.since is not None:
        rows = rows.filter(timestamp__gte=wanted.since)
    if wanted.before is not None:
        rows = rows.filter(timestamp__lt=wanted.before)
    if wanted.text:
        rows = rows.filter(height__in=_found(wanted.text))
    return rows


def _bounds(wanted: BlockFilter) -> tuple[int | None, int | None]:
    """The heights between which a time range lies: time never runs backwards on a chain; None: open on that side."""
    lowest = highest = None
    if wanted.since is not None:
        rows = Block.objects.filter(timestamp__gte=wanted.since).order_by("timestamp", "height")
        lowest = rows.values_list("height", flat=True).first()
    if wanted.before is not None:
        rows = Block.objects.filter(timestamp__lt=wanted.before).order_by("-timestamp", "-height")
        highest = rows.values_list("height", flat=True).first()
    return lowest, highest


def _found(text: str) -> set[int]:
    """Heights of the blocks that a text names; a query for each column, since no index serves them together."""
    if "\0" in text:  # PostgreSQL refuses to look for it
        return set()
    digest = text.lower()
    # In the order of the column that is looked at, so that its index is walked and not the table.
    lookups = [({"round_id__startswith": text}, "round_id")]
    if len(text) >= SHORTEST_DIGEST:
        lookups += [
            ({f"{column}__gte": digest, f"{column}__lt": digest + _BEYOND_HEX}, column)
            for column in ("block_hash", "model_hash")
        ]
    if text.isascii() and text.isdecimal() and len(text) < 16:
        lookups.append(({"height": text}, "height"))
    heights: set[int] = set()
    for lookup, order in lookups:
        rows = Block.objects.filter(**lookup).order_by(order)
        heights |= set(rows.values_list("height", flat=True)[:FOUND_AT_MOST])
    return heights


def entries_at(heights: Iterable[int]) -> dict[int, GovernanceEntry]:
    """What the governance blocks among those heights changed."""
    return GovernanceEntry.objects.in_bulk(list(heights))


def approving_counts(block_hashes: Iterable[str]) -> Counter[str]:
    """How many organisations approved each header, the coordinator not counted."""
    rows = Approval.objects.filter(block_hash__in=list(block_hashes), verdict=Approval.Verdict.APPROVE)
    return Counter(rows.exclude(org_id=COORDINATOR).values_list("block_hash", flat=True))


def models_with_releases() -> list[str]:
    """The names of the models that the chain released, in order."""
    rows = Block.objects.filter(model_name__isnull=False).order_by("model_name")
    return [name for name in rows.values_list("model_name", flat=True).distinct() if name is not None]


def keys_by_id(key_ids: Iterable[str]) -> dict[str, SignerKey]:
    """What the chain records of those keys, whether or not they are in force."""
    return {key.key_id: key for key in SignerKey.objects.filter(key_id__in=set(key_ids))}


def withdrawal_of(block: Block) -> GovernanceEntry | None:
    """The entry that withdrew a block's release, if one did: it names that version or an earlier one of its model."""
    return (
        GovernanceEntry.objects.filter(
            action="withdraw_release",
            model_name=block.model_name,
            model_version__lte=block.model_version,
            height__gt=block.height,
        )
        .order_by("height")
        .first()
        if block.model_name is not None
        else None
    )


def release_of(model_hash: str) -> Block:
    """The newest release of a model hash.

    Raises:
        ModelUnknown: no block released it.
    """
    found = Block.objects.filter(model_hash=model_hash).order_by("-height").first() if is_hash(model_hash) else None
    if found is None:
        raise ModelUnknown(f"no sealed release has the model hash {model_hash}", model_hash=model_hash)
    return found


def branches_beside(blocks: Sequence[Block], *, below: int, limit: int) -> list[Block]:
    """Releases of the same models between those of a lineage that are none of its ancestors, newest first.

    Args:
        below: the height below which to look.
    """
    known = {block.height: block.model_name for block in blocks}
    if not known:
        return []
    rows = Block.objects.filter(model_name__in=set(known.values()), height__gt=min(known), height__lt=below)
    return list(rows.exclude(height__in=known).defer("header").order_by("-height")[:limit])
