"""Putting an exported chain back: every block verified, and added where all blocks are added.

First the whole file is read and checked for all that costs no signature: its structure, and that it continues what the
database holds. Only then blocks are appended, a transaction per batch, so a restore that was killed goes on from its
last batch when it is run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from django.db import IntegrityError, connection, transaction

from flxdr.core.clock import Clock
from flxdr.core.errors import Malformed
from flxdr.platform.audit import record_event
from flxdr.platform.models import AuditEvent
from ledger import selectors
from ledger.chain import export
from ledger.chain.anchoring import HeldCheckpoint, TreeWatch
from ledger.chain.approvals import certificate_hash
from ledger.chain.block import block_hash
from ledger.chain.checks import advance
from ledger.chain.entries import COORDINATOR
from ledger.chain.export import ExportMalformed
from ledger.chain.failures import BlockInvalid, FirstBad
from ledger.chain.record import ChainRecord
from ledger.chain.state import ChainState
from ledger.chain.verify import Report, verify_chain
from ledger.errors import ExportInvalid, RestoreConflict
from ledger.models import (
    CHAIN_STREAM,
    Approval,
    Block,
    GovernanceEntry,
    Proposal,
    SignerKey,
    TreeNode,
    VerificationPass,
)
from ledger.services import listeners
from ledger.services.appending import append_blocks
from ledger.services.approvals import conclude
from ledger.services.locking import lock_chain
from ledger.services.passes import VERIFIED
from ledger.services.proposals import end_proposal, open_next
from ledger.services.verification import newest_height

BATCH = 500
_NO_SIGNATURES = 2**63
_WHICH = "`verify_chain` and `verify_chain --export FILE` say which."
_OF_A_FRESH_CHAIN = ("block.sealed", VERIFIED)
"""What happens to a genesis without anybody's doing."""
_FOUNDING = (Approval, GovernanceEntry, SignerKey, TreeNode, VerificationPass, Block)


@dataclass(frozen=True)
class Restored:
    """What a restore did: `held` of the chain's blocks were there before, `state` is the chain now."""

    held: int
    state: ChainState


def restore_chain(
    *,
    path: Path,
    clock: Clock,
    genesis: str | None = None,
    checkpoints: Sequence[HeldCheckpoint] = (),
    replace_fresh: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Restored:
    """Append the blocks of an export that the database lacks.

    The database may hold nothing, or a prefix of the export. A proposal that is open ends with it: sealed, if the
    export holds its block, else withdrawn.

    Args:
        path: what `export_chain` wrote.
        genesis: pinned genesis hash.
        checkpoints: that somebody holds; the export has to reach and agree with each of them.
        replace_fresh: the genesis that a new database's migration made gives way, if nothing has happened there yet.
        progress: called with the blocks in place and the blocks of the export, after each batch.

    Raises:
        OSError: the file cannot be read.
        ExportInvalid: it does not verify. Nothing is stored if its structure is bad; a signature that does not hold
            ends the restore at its block, and the verified ones before stay.
        RestoreConflict: the export is behind the database or contradicts it; nothing is stored.
    """
    replaced = _genesis_to_replace(path) if replace_fresh else None
    held = 0 if replaced else newest_height() + 1
    total = _survey(path, held=held, genesis=genesis, checkpoints=checkpoints, clock=clock)
    with path.open("rb") as file:
        records = export.records(file)
        state: ChainState | None = None
        for record in islice(records, held):
            state, _ = advance(state, record, check_signatures=False)
        while batch := list(islice(records, BATCH)):
            state = _restore_batch(batch, state, replaced, clock)
            replaced = None
            if progress is not None:
                progress(state.height + 1, total)
    assert state is not None, "the survey refuses a file without blocks"
    with transaction.atomic():
        lock_chain()
        open_next(clock=clock)
    return Restored(held, state)


def _survey(path: Path, *, held: int, genesis: str | None, checkpoints: Sequence[HeldCheckpoint], clock: Clock) -> int:
    """Check everything about the export but signatures; the number of its blocks."""

    def verified(signatures_from: int) -> Report:
        with path.open("rb") as file:
            own = _own_checkpoint(file)
            records = _continuing(_storable(export.records(file)), held)
            return verify_chain(
                records,
                genesis=genesis,
                tree=TreeWatch([*checkpoints, *own]),
                signatures_from=signatures_from,
                now=clock.now(),
            ).report

    report = verified(_NO_SIGNATURES)
    if report.first_bad is not None:
        # An edited header breaks the link of the next one; with its signatures it is named itself.
        raise _invalid(verified(0).first_bad or report.first_bad)
    if report.blocks_verified < held:
        raise RestoreConflict(
            f"the export ends at height {report.blocks_verified - 1}, behind the database's {held - 1}",
            expected="an export of at least the blocks that the database holds",
            height=report.blocks_verified - 1,
        )
    return report.blocks_verified


def _own_checkpoint(file: BinaryIO) -> list[HeldCheckpoint]:
    try:
        return export.own_checkpoint(file)
    except Malformed as error:
        raise ExportInvalid(
            f"the export's own checkpoint cannot be read: {error.detail}", expected=error.expected
        ) from error


def _storable(records: Iterator[ChainRecord]) -> Iterator[ChainRecord]:
    """The records; once one was verified: a database keeps one approval of an organisation and a block, no second."""
    for height, record in enumerate(records):
        yield record
        signers = {(approval.org_id, approval.key_id) for approval in record.approvals}
        if len({org_id for org_id, _ in signers}) < len(signers):
            raise RestoreConflict(
                f"an organisation approved block {height} of the export with several keys",
                expected="one approval of an organisation and a block, as a coordinator takes them",
                action="`verify_chain --export FILE` verifies the file as it is.",
                height=height,
            )


def _continuing(records: Iterator[ChainRecord], held: int) -> Iterator[ChainRecord]:
    """The records, the first `held` of which have to be those that the database holds."""
    for height, (own, record) in enumerate(zip(selectors.chain_records(0, held - 1), records, strict=False)):
        for what, ours, theirs in (
            ("block", block_hash(own.header), block_hash(record.header)),
            ("certificate", certificate_hash(own.approvals), certificate_hash(record.approvals)),
        ):
            if ours != theirs:
                raise RestoreConflict(
                    f"the export's {what} {height} is {theirs}: another chain, or one of the two was tampered with",
                    expected=f"the database's {ours}",
                    action=_WHICH if height else f"{_WHICH} A new database with a genesis of its own: --replace-fresh.",
                    height=height,
                )
        yield record
    yield from records


def _restore_batch(
    batch: Sequence[ChainRecord], state: ChainState | None, replaced: str | None, clock: Clock
) -> ChainState:
    with transaction.atomic():
        lock_chain()
        if replaced is not None:
            _drop_genesis(replaced, clock)
        _check_tip(state)
        _store_approvals(batch)
        try:
            blocks, after = append_blocks(records=batch, state=state)
        except BlockInvalid as error:
            raise _invalid(FirstBad.at(error.fields["height"], error)) from error
        except IntegrityError as error:
            raise RestoreConflict(
                f"the database cannot hold the export's blocks together: {error}",
                expected="a round id of its own in every release, as coordinators give them",
            ) from error
        assert after is not None
        record_event(
            kind="chain.restored",
            actor=COORDINATOR,
            subject=f"block {after.height}",
            data={"first": blocks[0].height, "last": after.height, "block_hash": after.block_hash},
            stream=CHAIN_STREAM,
            clock=clock,
        )
        concluded = _end_open_proposal(blocks, clock)
        for block in blocks:
            if block.height != concluded:
                listeners.tell_entries(block, clock)
    return after


def _genesis_to_replace(path: Path) -> str | None:
    """The hash of a fresh database's own genesis, where it is not the export's.

    Raises:
        RestoreConflict: the database is not fresh.
    """
    first = None
    with path.open("rb") as file, suppress(ExportMalformed):  # the survey names what is wrong with it
        first = next(export.records(file), None)
    own = Block.objects.filter(height=0).values_list("block_hash", flat=True).first()
    if own is None or first is None or own == block_hash(first.header):
        return None
    if newest_height() > 0 or AuditEvent.objects.exclude(kind__in=_OF_A_FRESH_CHAIN).exists():
        raise RestoreConflict(
            f"the database holds more than the genesis {own} of its own: it is in use",
            expected="a database in which nothing has happened since its migration",
            action="Restore into a new database.",
        )
    return own


def _drop_genesis(own: str, clock: Clock) -> None:
    if newest_height() != 0 or selectors.chain_id() != own:
        raise RestoreConflict("the chain grew meanwhile", action="Stop the coordinator first.")
    with connection.cursor() as cursor:
        for model in _FOUNDING:
            table = connection.ops.quote_name(model._meta.db_table)
            # PostgreSQL's triggers refuse to delete single rows; emptying a table is its owner's.
            cursor.execute(f"TRUNCATE {table}" if connection.vendor == "postgresql" else f"DELETE FROM {table}")  # noqa: S608
    record_event(kind="genesis.replaced", actor=COORDINATOR, subject="block 0", data={"block_hash": own}, clock=clock)


def _check_tip(state: ChainState | None) -> None:
    newest = Block.objects.order_by("-height").values_list("block_hash", flat=True).first()
    if newest != (state.block_hash if state else None):
        raise RestoreConflict(
            "the chain grew meanwhile", expected="a coordinator that is stopped", action="Run the restore again."
        )


def _store_approvals(batch: Sequence[ChainRecord]) -> None:
    """Store the certificates; answers to a proposal that the database holds already have to be part of them."""
    wanted = {
        (hash_, approval.org_id): approval
        for record in batch
        for hash_ in [block_hash(record.header)]
        for approval in record.approvals
    }
    hashes = {hash_ for hash_, _ in wanted}
    for row in Approval.objects.filter(block_hash__in=hashes):
        approval = wanted.pop((row.block_hash, row.org_id), None)
        if (
            approval is None
            or row.verdict != Approval.Verdict.APPROVE
            or (approval.key_id, approval.signature) != (row.key_id, bytes(row.signature))
        ):
            raise RestoreConflict(
                f"the database holds another answer of {row.org_id} to block {row.block_hash} than its certificate",
                expected="only answers that the export holds as well",
                action="Restore into a new database.",
            )
    Approval.objects.bulk_create(
        Approval(block_hash=hash_, org_id=approval.org_id, key_id=approval.key_id, signature=approval.signature)
        for (hash_, _), approval in wanted.items()
    )


def _end_open_proposal(blocks: Sequence[Block], clock: Clock) -> int | None:
    """End the proposal that was open in the database; the height of its block, if one of these is."""
    proposal = Proposal.objects.filter(status=Proposal.Status.OPEN).first()
    if proposal is None:
        return None
    block = next((block for block in blocks if block.block_hash == proposal.block_hash), None)
    if block is None:
        reason = "the chain was restored, and goes on with another block"
        end_proposal(proposal=proposal, status=Proposal.Status.WITHDRAWN, actor=COORDINATOR, reason=reason, clock=clock)
        return None
    assert proposal.block_hash is not None
    approvals = selectors.approvals_of([proposal.block_hash])[proposal.block_hash]
    approved_by = {approval.org_id for approval in approvals} - {COORDINATOR}
    conclude(proposal=proposal, block=block, approved_by=approved_by, clock=clock)
    return block.height


def _invalid(bad: FirstBad) -> ExportInvalid:
    return ExportInvalid(
        f"block {bad.height} of the export does not hold ({bad.code}): {bad.field} is {bad.actual}",
        expected=f"{bad.field} {bad.expected}",
        height=bad.height,
        check=bad.code,
    )
