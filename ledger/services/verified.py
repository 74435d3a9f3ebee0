"""What is known about the stored chain, for everybody who asks.

Up to `WHOLE_UP_TO` blocks every answer is a full pass, made for it or a moment ago. On a longer chain the last full
pass is continued: its blocks are taken as it found them, as long as the block at which it ended is still there, and
only the ones above are verified. So a block that is damaged below `verified_from` shows at the next full pass, which
runs in the background; and a chain that no full pass has found good is never called valid.

A pass takes a processor, and everybody who may read the chain may ask for one: asked in a loop it would take the whole
machine. So a process makes one pass at a time, and a long full one is given again for a multiple of what it took,
unless a block was added. What continues a pass is remembered, so it is short the next time.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from flxdr.core.clock import Clock, format_timestamp
from flxdr.core.errors import Malformed
from ledger import selectors
from ledger.chain.block import block_hash
from ledger.chain.failures import FirstBad
from ledger.chain.verify import Report
from ledger.models import Block, VerificationPass
from ledger.services import passes
from ledger.services.passes import Head, Source
from ledger.services.verification import Memory, run_pass

WHOLE_UP_TO = 10_000
"""Blocks of a chain that is verified whole for whoever asks."""
SHORT_SECONDS = 0.1
"""Full passes up to this long are repeated for every request."""
REST = 9
"""Rest after a long full pass, in multiples of its duration: verifying takes a tenth of a processor at most."""
NOT_KNOWN = "no full pass over the chain has ended yet, so nobody knows whether it is valid"

FullPass = Literal["ended", "requested", "running"]


@dataclass(frozen=True)
class Verified:
    """What is known of the chain.

    Attributes:
        chain_valid: None as long as nobody knows, because no full pass has ended.
        report: of the whole chain, as `verify_ledger` writes it.
        at: when the newest pass that this is about began.
        verified_from: from this height on that pass verified the blocks; those below it took from earlier ones.
        full_pass: whether another full pass is due, or all that were asked for have ended.
        full_pass_at, full_pass_to: when the last full pass began, and its last good block.
    """

    chain_valid: bool | None
    report: Mapping[str, Any]
    at: datetime
    verified_from: int
    full_pass: FullPass
    full_pass_at: datetime | None
    full_pass_to: int | None

    @property
    def is_pending(self) -> bool:
        return self.full_pass in {"requested", "running"}

    def as_json(self) -> dict[str, Any]:
        """JSON-serialisable, as the API answers."""
        return {
            **self.report,
            "chain_valid": self.chain_valid,
            "verification_timestamp": format_timestamp(self.at),
            "verified_from": self.verified_from,
            "full_pass": self.full_pass,
            "full_pass_at": format_timestamp(self.full_pass_at) if self.full_pass_at else None,
            "full_pass_to": self.full_pass_to,
        }


_one_at_a_time = threading.Lock()


def verify_stored(*, clock: Clock, actor: str, full: bool = False) -> Verified:
    """Verify the stored chain as far as it takes to say how it is.

    Args:
        actor: who asks.
        full: make a full pass now, or on a long chain have one made in the background.
    """
    with _one_at_a_time:
        head = Head.read()
        if head.height < WHOLE_UP_TO:
            return _whole(head, clock=clock, actor=actor, full=full)
        if full:
            passes.request_pass(source=Source.REQUEST, actor=actor)
        return _continued(head, clock=clock, actor=actor)


def _whole(head: Head, *, clock: Clock, actor: str, full: bool) -> Verified:
    last = selectors.last_pass()
    if last is not None and not full and _is_fresh(last, head, clock.now()):
        return _as_kept(last, clock)
    began_at = clock.now()
    outcome = run_pass(clock=clock)
    report = outcome.report
    news = last is None or (last.valid, last.tip_hash) != (report.chain_valid, head.block_hash)
    if full or news or report.stats["seconds"] > SHORT_SECONDS:
        passes.keep(outcome, head=head, began_at=began_at, source=Source.REQUEST, actor=actor, told=full, clock=clock)
    return Verified(report.chain_valid, report.as_json(), began_at, 0, _pending(clock), began_at, report.covers["to"])


def _is_fresh(last: VerificationPass, head: Head, now: datetime) -> bool:
    assert last.report is not None
    assert last.ended_at is not None
    seconds = last.report["stats"]["seconds"]
    rest = timedelta(seconds=REST * seconds if seconds > SHORT_SECONDS else 0)
    return (last.tip, last.tip_hash) == (head.height, head.block_hash) and now < last.ended_at + rest


def _continued(head: Head, *, clock: Clock, actor: str) -> Verified:
    last = selectors.last_pass()
    memory = _memory(last)
    if last is None or (last.valid and memory is None):
        passes.request_pass(source=Source.REQUEST, actor=actor)
        return _not_verified(clock)
    if memory is None:
        return _as_kept(last, clock)
    assert last.report is not None
    at, first = clock.now(), memory.state.height + 1
    lost = _lost(memory, head)
    if lost is None:
        outcome = run_pass(clock=clock, memory=memory)
        if outcome.verified_to > memory.state.height:
            passes.remember(outcome, since=last)
        report = outcome.report
    else:
        report, first = _nothing_verified(lost, head), lost.height
    if not report.chain_valid:
        passes.request_pass(source=Source.REQUEST, actor=actor)
    full_pass_to = last.report["covers"]["to"]
    return Verified(report.chain_valid, report.as_json(), at, first, _pending(clock), last.began_at, full_pass_to)


def _memory(last: VerificationPass | None) -> Memory | None:
    if last is None or last.memory is None:
        return None
    try:
        return Memory.from_json(last.memory)
    except Malformed:  # another version of this software wrote it
        return None


def _lost(memory: Memory, head: Head) -> FirstBad | None:
    """What became of the block at which the earlier pass ended; None if it is still there."""
    state = memory.state
    header = Block.objects.filter(height=state.height).values_list("header", flat=True).first()
    if header is None:
        expected = f"at least {state.height}"
        return FirstBad(state.height, "remembered_block_missing", "height", expected, str(head.height))
    actual = block_hash(bytes(header))
    if actual != state.block_hash:
        return FirstBad(state.height, "remembered_block_replaced", "block_hash", state.block_hash, actual)
    return None


def _as_kept(last: VerificationPass, clock: Clock) -> Verified:
    assert last.report is not None
    assert last.began_at is not None
    return Verified(
        last.valid, last.report, last.began_at, 0, _pending(clock), last.began_at, last.report["covers"]["to"]
    )


def _not_verified(clock: Clock) -> Verified:
    """No full pass has ended: all there is to tell is how far a running one has come."""
    due = selectors.due_pass()
    done = due.blocks_done if due is not None else 0
    report = _nothing_verified()
    if done > 0:
        report = replace(
            report,
            blocks_verified=done,
            last_block_hash=selectors.block_at(done - 1).block_hash,
            unanchored=done,
            covers={**report.covers, "to": done - 1},
        )
    return Verified(None, report.as_json(), clock.now(), 0, _pending(clock), None, None)


def _nothing_verified(first_bad: FirstBad | None = None, head: Head | None = None) -> Report:
    return Report(
        chain_valid=False,
        blocks_verified=0,
        last_block_hash=None,
        first_bad=first_bad,
        suspect_range=(0, max(head.height, first_bad.height)) if first_bad and head else None,
        last_good_checkpoint=None,
        unanchored=0,
        warnings=() if first_bad else (NOT_KNOWN,),
        covers={"from": 0, "to": None, "signatures_from": 0},
        stats={"seconds": 0.0, "blocks_per_s": 0.0},
    )


def _pending(clock: Clock) -> FullPass:
    due = selectors.due_pass()
    if due is None:
        return "ended"
    return "running" if due.lease_until is not None and due.lease_until > clock.now() else "requested"
