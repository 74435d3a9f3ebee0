"""Verification of the stored chain, and of the index that the database keeps over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Max

from flxdr.core.clock import Clock
from flxdr.core.errors import Malformed
from ledger import selectors
from ledger.chain.anchoring import HeldCheckpoint, TreeWatch
from ledger.chain.entries import COORDINATOR
from ledger.chain.failures import FirstBad
from ledger.chain.membership import KeySet
from ledger.chain.state import ChainState
from ledger.chain.tally import Tally
from ledger.chain.tree import Frontier, stored_nodes
from ledger.chain.verify import Report, verify_chain
from ledger.models import Block, SignerKey
from ledger.services.entry_index import EntryIndex


@dataclass(frozen=True)
class Memory:
    """What a later pass over the same chain continues from: the chain after a block, and the tree of its blocks."""

    state: ChainState
    tally: Tally
    frontier: Frontier

    def as_json(self) -> dict[str, Any]:
        return {
            "state": self.state.as_json(),
            "tally": self.tally.as_json(),
            "peaks": [peak.hex() for peak in self.frontier.peaks],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Memory:
        """Read what `as_json` wrote.

        Raises:
            Malformed: another version of this software wrote it.
        """
        try:
            state = ChainState.from_json(document["state"])
            peaks = [bytes.fromhex(peak) for peak in document["peaks"]]
            return cls(state, Tally.from_json(document["tally"]), Frontier(state.height + 1, peaks))
        except (KeyError, TypeError, ValueError) as error:
            raise Malformed(f"the document is no memory of a pass: {error!r}", action="Make a full pass.") from error


@dataclass(frozen=True)
class Outcome:
    """A report, and what a later pass continues from if the chain is valid."""

    report: Report
    memory: Memory | None

    @property
    def verified_to(self) -> int:
        """Height of the last good block; -1 if there is none."""
        to = self.report.covers["to"]
        return -1 if to is None else to


def verify_ledger(
    *,
    clock: Clock,
    genesis: str | None = None,
    checkpoints: Sequence[HeldCheckpoint] = (),
    signatures_from: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Verify every stored block and node of the tree in one pass, then that the indexes say what the chain says.

    Reads only what was there when it started. Blocks above the newest of `checkpoints` count as unanchored.

    Args:
        genesis: pinned genesis hash.
        checkpoints: what somebody outside holds.
        signatures_from: below this height the public-key operations are skipped.
        progress: called with the height after each good block.
    """
    return run_pass(
        clock=clock,
        genesis=genesis,
        checkpoints=checkpoints,
        signatures_from=signatures_from,
        progress=progress,
    ).report


def run_pass(
    *,
    clock: Clock,
    memory: Memory | None = None,
    genesis: str | None = None,
    checkpoints: Sequence[HeldCheckpoint] = (),
    signatures_from: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """`verify_ledger`, from genesis or from what an earlier pass left.

    Args:
        memory: continue after its block, which the caller has found on the chain; without `checkpoints`. The report is
            about the whole chain all the same: it counts and covers the blocks below as well.
    """
    # Before the tip: nodes are stored with their blocks, so none of those read is of a block that comes later.
    newest_node = selectors.newest_tree_position()
    tip = newest_height()
    first = memory.state.height + 1 if memory else 0
    frontier = Frontier(first, memory.frontier.peaks if memory else ())
    nodes = selectors.tree_rows(stored_nodes(first), max(newest_node, stored_nodes(tip + 1) - 1))
    entries = EntryIndex(first, tip)
    outcome = verify_chain(
        entries.watched(selectors.chain_records(first, tip)),
        state=memory.state if memory else None,
        tally=memory.tally if memory else None,
        genesis=genesis,
        tree=TreeWatch(checkpoints, stored=nodes, frontier=frontier),
        signatures_from=signatures_from,
        tip=tip,
        now=clock.now(),
        progress=progress,
    )
    report, state = outcome.report, outcome.state
    if memory is not None:
        blocks = 1 + (state or memory.state).height
        covers = {"from": 0, "to": blocks - 1, "signatures_from": 0}
        report = replace(report, blocks_verified=blocks, unanchored=blocks, covers=covers)
    if not report.chain_valid or state is None:
        return Outcome(report, None)
    bad = entries.difference or _index_difference(state.keys, state.height)
    if bad is not None:
        report = replace(report, chain_valid=False, first_bad=bad, suspect_range=(bad.height, tip))
        return Outcome(report, None)
    return Outcome(report, Memory(state, outcome.tally, frontier))


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
