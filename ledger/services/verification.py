"""Verification of the stored chain, and of the index that the database keeps over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from django.db.models import Max

from flxdr.core.clock import Clock
from ledger import selectors
from ledger.chain.anchoring import HeldCheckpoint, TreeWatch
from ledger.chain.entries import COORDINATOR
from ledger.chain.failures import FirstBad
from ledger.chain.membership import KeySet
from ledger.chain.tree import stored_nodes
from ledger.chain.verify import Report, verify_chain
from ledger.models import Block, SignerKey
from ledger.services.entry_index import EntryIndex


def verify_ledger(
    *,
    clock: Clock,
    genesis: str | None = None,
    checkpoints: Sequence[HeldCheckpoint] = (),
    signatures_from: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Verify every stored block and node of the tree in one pass, then that the key index says what the chain says.

    Reads only what was there when it started. Blocks above the newest of `checkpoints` count as unanchored.

    Args:
        genesis: pinned genesis hash.
        checkpoints: what somebody outside holds.
        signatures_from: below this height the public-key operations are skipped.
        progress: called with the height after each good block.
    """
    # Before the tip: nodes are stored with their blocks, so none of those read is of a block that comes later.
    newest_node = selectors.newest_tree_position()
    tip = newest_height()
    entries = EntryIndex(0, tip)
    outcome = verify_chain(
        entries.watched(selectors.chain_records(0, tip)),
        genesis=genesis,
        tree=TreeWatch(checkpoints, stored=selectors.tree_rows(max(newest_node, stored_nodes(tip + 1) - 1))),
        signatures_from=signatures_from,
        tip=tip,
        now=clock.now(),
        progress=progress,
    )
    report = outcome.report
    if not report.chain_valid or outcome.state is None:
        return report
    bad = entries.difference or _index_difference(outcome.state.keys, outcome.state.height)
    if bad is None:
        return report
    return replace(report, chain_valid=False, first_bad=bad, suspect_range=(bad.height, tip))


def newest_height() -> int:
    """Height of the newest stored block; -1 of an empty table."""
    newest = Block.objects.aggregate(newest=Max("height"))["newest"]
    return -1 if newest is None else int(newest)


def _index_difference(keys: KeySet, tip: int) -> FirstBad | None:
    on_chain = {(COORDINATOR, keys.coordinator.key_id): keys.coordinator.spki}
    for org_id, own_keys in keys.members.items():
        on_chain |= {(org_id, key_id): key.spki for key_id, key in own_keys.items()}
    retired = set(SignerKey.objects.exclude(revoked_height=None).values_list("key_id", flat=True))
    for key_id in sorted(retired ^ keys.retired):
        on_record = key_id in keys.retired
        return FirstBad(
            height=tip,
            code="signer_index_mismatch",
            field=f"signer key {key_id}",
            expected="retired" if on_record else "not retired",
            actual="not retired" if on_record else "retired",
        )
    rows = SignerKey.objects.filter(revoked_height=None)
    stored = {(row.org_id, row.key_id): (bytes(row.spki), row.admitted_height) for row in rows}
    for holder in sorted(on_chain.keys() | stored.keys()):
        expected = on_chain.get(holder)
        actual, height = stored.get(holder, (None, tip))
        if expected != actual:
            return FirstBad(
                height=min(height, tip),
                code="signer_index_mismatch",
                field=f"signer key {holder[1]} of {holder[0]}",
                expected="a key that the chain admits" if expected is None else expected.hex(),
                actual="no such key" if actual is None else actual.hex(),
            )
    return None
