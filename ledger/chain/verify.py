"""Verification of a chain in one streaming pass, in constant space.

Needs header bytes and approvals, nothing else: no database, no network, no clock. A verifier that remembers the
`ChainState` of an earlier pass continues from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from flxdr.core.errors import Malformed
from ledger.chain.anchoring import Agreement, TreeWatch
from ledger.chain.checks import advance
from ledger.chain.failures import BlockInvalid, FirstBad, require
from ledger.chain.record import ChainRecord
from ledger.chain.state import ChainState
from ledger.chain.tally import Tally

# A broken link may as well come from the block before, so that one is suspect too.
_LINK_CHECKS = frozenset({"prev_hash_mismatch", "prev_cert_mismatch", "height_mismatch"})


@dataclass(frozen=True)
class Anchor:
    """A block that somebody outside the coordinator remembers."""

    height: int
    block_hash: str


@dataclass(frozen=True)
class Report:
    """What a verification found.

    `blocks_verified` counts the blocks that passed in this run, from `covers["from"]` on. `unanchored` counts the good
    blocks above the newest one that the caller remembers or holds a checkpoint of: nothing but the approvals protects
    those from a rewrite by their own signers. `last_good_checkpoint` is the newest held one that the chain agrees with.
    `suspect_range` is from the first block that may be altered to the tip, where the tip is known.
    """

    chain_valid: bool
    blocks_verified: int
    last_block_hash: str | None
    first_bad: FirstBad | None
    suspect_range: tuple[int, int | None] | None
    last_good_checkpoint: Mapping[str, Any] | None
    unanchored: int
    warnings: tuple[str, ...]
    covers: Mapping[str, int | None]
    stats: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Verification:
    """A report, and what a later run continues from: the state after the last good block (None if there is none)."""

    report: Report
    state: ChainState | None
    tally: Tally


def verify_chain(
    records: Iterable[ChainRecord],
    *,
    state: ChainState | None = None,
    tally: Tally | None = None,
    genesis: str | None = None,
    anchor: Anchor | None = None,
    tree: TreeWatch | None = None,
    signatures_from: int = 0,
    tip: int | None = None,
    now: datetime | None = None,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Verify `records`, which continue `state` (or start at genesis).

    Args:
        state: what an earlier run returned; its head counts as remembered.
        tally: what that run returned, where the warnings are to be about the whole chain.
        genesis: pinned genesis hash.
        anchor: a remembered block of a chain that is verified from its start.
        tree: a fresh one, of held checkpoints and stored nodes; continues where `state` does.
        signatures_from: below this height the public-key operations are skipped; the report warns.
        tip: height of the last record, where known; names the end of the suspect range.
        now: refuses blocks more than five minutes from the future.
        progress: called with the height after each good block.
    """
    started = time.perf_counter()
    first = state.height + 1 if state else 0
    remembered = state.height if state else anchor.height if anchor else -1
    tally = Tally.from_json(tally.as_json()) if tally else Tally()
    bad: FirstBad | None = None
    try:
        _check_pin(state, genesis)
        for record in records:
            height = state.height + 1 if state else 0
            after, header = advance(state, record, genesis=genesis, check_signatures=height >= signatures_from, now=now)
            _check_anchor(after, anchor)
            if tree is not None:
                tree.add(record.header, after)
            state = after
            tally.add(header)
            if progress is not None:
                progress(height)
        _check_end(state, anchor)
        if tree is not None:
            tree.end()
    except Malformed as error:
        unreadable = BlockInvalid("record_malformed", "$", expected=error.expected or "a block", actual=error.detail)
        bad = FirstBad.at(state.height + 1 if state else 0, unreadable)
    except BlockInvalid as error:
        bad = FirstBad.at(state.height + 1 if state else 0, error)
    held = tree.last_good if tree else None
    seconds = time.perf_counter() - started
    good = (state.height + 1 if state else 0) - first
    warnings = tally.warnings()
    if signatures_from > first:
        warnings.append(f"signatures below height {signatures_from} were not checked in this run")
    report = Report(
        chain_valid=bad is None,
        blocks_verified=good,
        last_block_hash=state.block_hash if state else None,
        first_bad=bad,
        suspect_range=_suspect_range(bad, tip, held),
        last_good_checkpoint=held.as_json() if held else None,
        unanchored=max(0, state.height - max(remembered, held.size - 1 if held else -1)) if state else 0,
        warnings=tuple(warnings),
        covers={"from": first, "to": state.height if state else None, "signatures_from": max(first, signatures_from)},
        stats={"seconds": round(seconds, 6), "blocks_per_s": round(good / seconds, 1) if seconds > 0 else 0.0},
    )
    return Verification(report, state, tally)


def _check_pin(state: ChainState | None, genesis: str | None) -> None:
    if state is not None:
        require(
            genesis in (None, state.chain_id),
            "genesis_mismatch",
            "chain_id",
            expected=genesis,
            actual=state.chain_id,
        )


def _check_anchor(state: ChainState, anchor: Anchor | None) -> None:
    if anchor is not None and state.height == anchor.height:
        require(
            state.block_hash == anchor.block_hash,
            "remembered_block_replaced",
            "block_hash",
            expected=anchor.block_hash,
            actual=state.block_hash,
        )


def _check_end(state: ChainState | None, anchor: Anchor | None) -> None:
    if state is None:
        raise BlockInvalid("chain_empty", "height", expected="a genesis block", actual="no blocks")
    if anchor is not None:
        require(
            state.height >= anchor.height,
            "remembered_block_missing",
            "height",
            expected=f"at least {anchor.height}",
            actual=state.height,
        )


def _suspect_range(bad: FirstBad | None, tip: int | None, held: Agreement | None) -> tuple[int, int | None] | None:
    if bad is None:
        return None
    start = bad.height - 1 if bad.code in _LINK_CHECKS and bad.height > 0 else bad.height
    if bad.code == "checkpoint_root_mismatch":  # any block that the last good checkpoint does not cover
        start = held.size if held else 0
    return (start, max(tip, bad.height) if tip is not None else None)
