"""Keys, members and the policy in force, and the entries that made them so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from django.db.models import Q

from flxdr.core.keys import Algorithm, PublicKey
from ledger.chain.block import parse_header
from ledger.chain.entries import COORDINATOR, PolicyEntry, SetPolicy
from ledger.chain.membership import KeySet, found
from ledger.models import Block, GovernanceEntry, SignerKey
from ledger.selectors.blocks import block_at


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


def was_member(org_id: str) -> bool:
    """Whether the chain ever admitted a key of the organisation."""
    return SignerKey.objects.filter(org_id=org_id).exists()


def key_at(org_id: str, key_id: str, height: int) -> PublicKey | None:
    """The organisation's key under that id, if it was in force when the block at `height` was proposed."""
    in_force = Q(admitted_height__lt=height) & (Q(revoked_height=None) | Q(revoked_height__gte=height))
    row = SignerKey.objects.filter(in_force, org_id=org_id, key_id=key_id).first()
    return None if row is None else _public_key(row)


def admitted_key(org_id: str, key_id: str) -> PublicKey | None:
    """The organisation's key under that id, if the chain ever admitted it, in force or not."""
    row = SignerKey.objects.filter(org_id=org_id, key_id=key_id).first()
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
    """Whether there ever were as many members at once as the policy asks for; one that was changed found them."""
    if GovernanceEntry.objects.filter(action="set_policy").exists():
        return True
    minimum = _genesis_policy().minimum
    heights = [row.admitted_height for row in reversed(rows)]
    return any(len({row.org_id for row in rows if _is_in_force(row, height)}) >= minimum for height in heights)


def _is_in_force(row: SignerKey, height: int) -> bool:
    return row.admitted_height <= height and (row.revoked_height is None or row.revoked_height > height)


def signer_keys() -> list[SignerKey]:
    """Every key that the chain ever admitted, in the order of its admission."""
    return list(SignerKey.objects.order_by("admitted_height", "org_id"))


def governance_page(limit: int, offset: int) -> tuple[list[Block], int]:
    """The blocks that changed keys, the policy or the standing of a release, newest first, and how many there are."""
    entries = GovernanceEntry.objects.order_by("-height")
    heights = list(entries.values_list("height", flat=True)[offset : offset + limit])
    return list(Block.objects.filter(height__in=heights).order_by("-height")), entries.count()


def _public_key(row: SignerKey) -> PublicKey:
    return PublicKey(Algorithm(row.algorithm), bytes(row.spki))
