"""Reads of the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from flxdr.core.clock import format_timestamp
from flxdr.core.keys import Algorithm, PublicKey
from ledger.chain.approvals import SignedApproval, certificate_hash
from ledger.chain.block import parse_header
from ledger.chain.entries import COORDINATOR, PolicyEntry, SetPolicy
from ledger.chain.fields import is_hash
from ledger.chain.lineage import REMEMBERED, Lineage, Release
from ledger.chain.membership import KeySet, found
from ledger.chain.record import ChainRecord
from ledger.chain.state import ChainState
from ledger.chain.tree import Span, positions_of
from ledger.errors import BlockMissing, ModelUnknown, ProposalMissing, TreeDamaged
from ledger.models import (
    Approval,
    Block,
    Cosignature,
    GovernanceEntry,
    LateApproval,
    Proposal,
    ReleaseStatement,
    SignerKey,
    TreeNode,
    VerificationPass,
)

RECORDS_PER_QUERY = 500
NODES_PER_QUERY = 2000
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


def blocks_page(limit: int, offset: int) -> tuple[list[Block], int]:
    """Blocks from the newest down, and how many there are."""
    return list(Block.objects.order_by("-height")[offset : offset + limit]), Block.objects.count()


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


def tree_nodes(spans: Iterable[Span]) -> dict[int, bytes]:
    """The complete subtrees that those spans consist of, read in one query.

    Raises:
        TreeDamaged: one is not there.
    """
    positions = positions_of(spans)
    rows = TreeNode.objects.filter(position__in=positions).values_list("position", "hash")
    nodes = {position: bytes(hash_) for position, hash_ in rows}
    missing = [position for position in positions if position not in nodes]
    if missing:
        raise TreeDamaged(
            f"the stored tree has no node {missing[0]}",
            action="Run `manage.py verify_chain`; the blocks themselves can be exported and verified.",
        )
    return nodes


def stored_tree(first: int, last: int) -> list[bytes]:
    """The nodes from position `first` to `last`, in order."""
    rows = TreeNode.objects.filter(position__gte=first, position__lte=last).order_by("position")
    return [bytes(hash_) for hash_ in rows.values_list("hash", flat=True)]


def newest_tree_position() -> int:
    """Position of the newest stored node; -1 of none."""
    newest = TreeNode.objects.aggregate(newest=Max("position"))["newest"]
    return -1 if newest is None else int(newest)


def tree_rows(first: int, last: int) -> Iterator[tuple[int, bytes]]:
    """Position and hash of the stored nodes from position `first` to `last`, in order, in constant memory."""
    after = first - 1
    while batch := list(
        TreeNode.objects.filter(position__gt=after, position__lte=last)
        .order_by("position")
        .values_list("position", "hash")[:NODES_PER_QUERY]
    ):
        yield from ((position, bytes(hash_)) for position, hash_ in batch)
        after = batch[-1][0]


def cosignatures(size: int) -> list[Cosignature]:
    """What the witnesses signed of the checkpoint of the first `size` blocks, with their keys."""
    return list(Cosignature.objects.filter(size=size).select_related("witness"))


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


def chain_id() -> str:
    """The genesis hash: what names this chain."""
    return block_at(0).block_hash


def quorum_policy() -> PolicyEntry:
    """The approval policy in force after the newest block."""
    change = GovernanceEntry.objects.filter(action="set_policy").order_by("-height").first()
    if change is None:
        return _genesis_policy()
    (action,) = parse_header(bytes(block_at(change.height).header)).governance.actions
    assert isinstance(action, SetPolicy)
    return action.policy


def _genesis_policy() -> PolicyEntry:
    return found(parse_header(bytes(block_at(0).header)).governance).policy


def members() -> dict[str, list[PublicKey]]:
    """Every member organisation with its keys in force, in the order of their admission."""
    keys: dict[str, list[PublicKey]] = defaultdict(list)
    for row in SignerKey.objects.filter(revoked_height=None).exclude(org_id=COORDINATOR).order_by("admitted_height"):
        keys[row.org_id].append(_public_key(row))
    return dict(keys)


def is_member(org_id: str) -> bool:
    """Whether the organisation has a key in force on the chain."""
    return org_id != COORDINATOR and SignerKey.objects.filter(org_id=org_id, revoked_height=None).exists()


def key_at(org_id: str, key_id: str, height: int) -> PublicKey | None:
    """The organisation's key under that id, if it was in force when the block at `height` was proposed."""
    in_force = Q(admitted_height__lt=height) & (Q(revoked_height=None) | Q(revoked_height__gte=height))
    row = SignerKey.objects.filter(in_force, org_id=org_id, key_id=key_id).first()
    return None if row is None else _public_key(row)


def coordinator_key_id() -> str | None:
    """The id of the coordinator's key that the chain records; None before genesis."""
    rows = SignerKey.objects.filter(org_id=COORDINATOR, revoked_height=None)
    return rows.values_list("key_id", flat=True).first()


def is_retired(key_id: str) -> bool:
    """Whether the key was rotated away or revoked."""
    return SignerKey.objects.filter(key_id=key_id, revoked_height__isnull=False).exists()


def key_set() -> KeySet:
    """The keys in force after the newest block."""
    rows = list(SignerKey.objects.order_by("admitted_height", "key_id"))
    coordinator = next(row for row in rows if row.org_id == COORDINATOR and row.revoked_height is None)
    return KeySet(
        coordinator=_public_key(coordinator),
        policy=quorum_policy(),
        members={org_id: {key.key_id: key for key in keys} for org_id, keys in members().items()},
        bootstrap_over=_is_bootstrap_over([row for row in rows if row.org_id != COORDINATOR]),
        retired=frozenset(row.key_id for row in rows if row.revoked_height is not None),
    )


def _is_bootstrap_over(rows: Sequence[SignerKey]) -> bool:
    """Whether there ever were as many members at once as genesis asks for; until then nothing can change that."""
    minimum = _genesis_policy().minimum
    heights = [row.admitted_height for row in reversed(rows)]
    return any(len({row.org_id for row in rows if _is_in_force(row, height)}) >= minimum for height in heights)


def _is_in_force(row: SignerKey, height: int) -> bool:
    return row.admitted_height <= height and (row.revoked_height is None or row.revoked_height > height)


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


def signer_keys() -> list[SignerKey]:
    """Every key that the chain ever admitted, in the order of its admission."""
    return list(SignerKey.objects.order_by("admitted_height", "org_id"))


def governance_page(limit: int, offset: int) -> tuple[list[Block], int]:
    """The blocks that changed keys, the policy or the standing of a release, newest first, and how many there are."""
    entries = GovernanceEntry.objects.order_by("-height")
    heights = list(entries.values_list("height", flat=True)[offset : offset + limit])
    return list(Block.objects.filter(height__in=heights).order_by("-height")), entries.count()


def statements_about(height: int) -> list[ReleaseStatement]:
    """What organisations attest of the release at a height.

    Raises:
        BlockMissing: no such height.
    """
    block_at(height)
    return list(ReleaseStatement.objects.filter(height=height).order_by("org_id"))


def proposal_by_id(proposal_id: int) -> Proposal:
    """One proposal.

    Raises:
        ProposalMissing: no such number.
    """
    proposal = Proposal.objects.filter(pk=proposal_id).first()
    if proposal is None:
        raise ProposalMissing(f"no proposal {proposal_id}", proposal_id=proposal_id)
    return proposal


def proposals_page(limit: int, offset: int, *, open_only: bool = False) -> tuple[list[Proposal], int]:
    """Proposals, newest first, and how many there are."""
    rows = Proposal.objects.order_by("-id")
    if open_only:
        rows = rows.filter(status=Proposal.Status.OPEN)
    return list(rows[offset : offset + limit]), rows.count()


def proposals_for(org_id: str) -> list[Proposal]:
    """The open proposals on which the organisation has a vote that it has not given."""
    proposals = [p for p in Proposal.objects.filter(status=Proposal.Status.OPEN) if org_id in p.voters]
    answered = Approval.objects.filter(org_id=org_id, block_hash__in=[p.block_hash for p in proposals])
    done = set(answered.values_list("block_hash", flat=True))
    return [proposal for proposal in proposals if proposal.block_hash not in done]


def revocations_against(org_id: str) -> list[Proposal]:
    """The open proposals to revoke a key of that organisation."""
    return list(Proposal.objects.filter(status=Proposal.Status.OPEN, subject__startswith=f"revoke {org_id} "))


def answers_to(proposals: Sequence[Proposal]) -> dict[str, list[Approval]]:
    """Every answer to those proposals by block hash, in the order given."""
    answers: dict[str, list[Approval]] = defaultdict(list)
    hashes = [proposal.block_hash for proposal in proposals if proposal.block_hash is not None]
    for answer in Approval.objects.filter(block_hash__in=hashes).order_by("id"):
        answers[answer.block_hash].append(answer)
    return answers


def unsigned_by_coordinator() -> QuerySet[Proposal]:
    """Open proposals that wait for the coordinator's signature."""
    signed = Approval.objects.filter(org_id=COORDINATOR).values("block_hash")
    return Proposal.objects.filter(Q(status=Proposal.Status.OPEN) & ~Q(block_hash__in=signed))


def last_pass() -> VerificationPass | None:
    """The outcome of the last full pass over the chain that ended."""
    return VerificationPass.objects.filter(status=VerificationPass.Status.ENDED).first()


def due_pass() -> VerificationPass | None:
    """The full pass that somebody asked for and that has not ended."""
    return VerificationPass.objects.filter(status=VerificationPass.Status.DUE).first()


def _public_key(row: SignerKey) -> PublicKey:
    return PublicKey(Algorithm(row.algorithm), bytes(row.spki))
