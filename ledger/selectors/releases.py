"""Releases: their lineage, those that stand, and what the next block is checked against."""

from __future__ import annotations

from django.db.models import Exists, OuterRef

from flxdr.core.clock import format_timestamp
from ledger.chain.approvals import certificate_hash
from ledger.chain.block import parse_header
from ledger.chain.fields import is_hash
from ledger.chain.lineage import REMEMBERED, Lineage, Release
from ledger.chain.state import ChainState
from ledger.errors import ModelUnknown
from ledger.models import Block, GovernanceEntry
from ledger.selectors.blocks import approvals_of, chain_id, head
from ledger.selectors.membership import key_set

# Reading times costs more than the walk, and no other column is asked for.
_LINEAGE_COLUMNS = ("height", "model_name", "model_version", "model_hash", "parent_model_hash", "header")
_LINEAGE = """
WITH RECURSIVE walk(height, parent_model_hash, depth) AS (
    SELECT height, parent_model_hash, 0 FROM blocks
    WHERE height = (SELECT MAX(height) FROM blocks WHERE model_hash = %s)
    UNION ALL
    SELECT parent.height, parent.parent_model_hash, walk.depth + 1
    FROM walk JOIN blocks parent ON parent.height = (
        SELECT MAX(height) FROM blocks WHERE model_hash = walk.parent_model_hash AND height < walk.height
    )
)
SELECT {columns}, (SELECT COUNT(*) FROM walk) AS lineage_length
FROM (SELECT height, depth FROM walk ORDER BY depth LIMIT %s OFFSET %s) page
JOIN blocks ON blocks.height = page.height
ORDER BY page.depth
""".replace("{columns}", ", ".join(f"blocks.{name}" for name in _LINEAGE_COLUMNS))


def lineage(model_hash: str, limit: int, offset: int) -> tuple[list[Block], int]:
    """A released model and its ancestors on the chain, newest first, and how many they are.

    Raises:
        ModelUnknown: no sealed release has that hash.
    """
    page: list[Block] = []
    counted: list[Block] = []
    if is_hash(model_hash):  # PostgreSQL refuses to look for a text with a zero character
        page = list(Block.objects.raw(_LINEAGE, [model_hash, limit, offset]))
        # A page beyond the end has no row to carry the length.
        counted = page or list(Block.objects.raw(_LINEAGE, [model_hash, 1, 0]))
    if not counted:
        raise ModelUnknown(
            f"no sealed release has the model hash {model_hash}",
            expected="the hash of a model that a block released",
            model_hash=model_hash,
        )
    return page, int(vars(counted[0])["lineage_length"])


def chain_state(model_name: str | None = None) -> ChainState:
    """What a block after the newest one is checked against; of the releases only those of `model_name`."""
    newest = head()
    releases = {}
    if model_name is not None:
        known = releases_of(model_name)
        if known is not None:
            releases[model_name] = known
    return ChainState(
        chain_id=chain_id(),
        height=newest.height,
        block_hash=newest.block_hash,
        cert_hash=certificate_hash(approvals_of([newest.block_hash])[newest.block_hash]),
        timestamp=format_timestamp(newest.timestamp),
        keys=key_set(),
        releases=releases,
    )


def releases_of(model_name: str) -> Lineage | None:
    """How a model's sealed releases continue: the newest one, and which of the last versions stand."""
    blocks = Block.objects.filter(model_name=model_name).order_by("-model_version")
    newest = blocks.first()
    if newest is None:
        return None
    assert newest.model_version is not None
    withdrawals = GovernanceEntry.objects.filter(
        action="withdraw_release",
        model_name=model_name,
        height__gt=OuterRef("height"),
        model_version__lte=OuterRef("model_version"),
    )
    standing = blocks.filter(~Exists(withdrawals), model_version__gt=newest.model_version - REMEMBERED)
    return Lineage(_release(newest), tuple(_release(block) for block in reversed(standing)))


def release_hash(model_name: str, model_version: int) -> str:
    """The hash of a sealed release.

    Raises:
        ModelUnknown: there is no such release.
    """
    released = Block.objects.filter(model_name=model_name, model_version=model_version)
    model_hash = released.values_list("model_hash", flat=True).first()
    if model_hash is None:
        raise ModelUnknown(
            f"no block released version {model_version} of {model_name!r}", expected="a sealed release of a model"
        )
    return model_hash


def _release(block: Block) -> Release:
    provenance = parse_header(bytes(block.header)).provenance
    assert provenance is not None
    assert block.model_hash is not None
    return Release(provenance.model_version, block.model_hash, provenance.round_number)
