"""Following the chain: every block verified once, the head remembered, rollbacks and forks refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from federation.agent.client import Coordinator
from federation.agent.errors import ChainContradiction, CheckFailed
from federation.agent.state_rows import StoredBlock
from flxdr.core.errors import Malformed
from ledger.chain.anchoring import HeldCheckpoint, TreeWatch
from ledger.chain.block import block_hash, parse_header
from ledger.chain.entries import WithdrawRelease
from ledger.chain.record import ChainRecord
from ledger.chain.state import ChainState
from ledger.chain.verify import Anchor, Report, verify_chain

if TYPE_CHECKING:  # a session follows the chain itself when its key was rotated
    from federation.agent.session import Agent

PAGE = 100
_EVIDENCE = "Keep this home as evidence and tell the other members."
_FORKS = frozenset({"prev_hash_mismatch", "prev_cert_mismatch"})


def follow(agent: Agent, *, head: object = None) -> ChainState:
    """Verify what the coordinator's chain holds beyond the remembered head, and remember it.

    Args:
        head: what the coordinator just named as its head, where the caller has it; else it is asked for.

    Raises:
        ChainContradiction: another genesis, a head behind or beside the remembered one, or a fork.
        CheckFailed: a block that does not hold, or blocks that the coordinator withholds.
    """
    state = agent.state.chain()
    height, head_hash = _head(head if head else _ask(agent), agent.chain_id)
    if head and state is not None and state.height > height:
        # Another process of this home may have followed the chain since the caller asked.
        height, head_hash = _head(_ask(agent), agent.chain_id)
    if state is not None and state.height > height:
        raise ChainContradiction(
            f"the coordinator's chain ends at height {height}: it went back",
            expected=f"at least the remembered height {state.height}",
            action=_EVIDENCE,
        )
    while state is None or state.height < height:
        before = state
        records = _page(agent.coordinator, before.height + 1 if before else 0)
        after, blocks = _verify_page(agent, before, records)
        agent.state.extend_chain(before, after, blocks)
        state = agent.state.chain()
    held = agent.state.block_hash(height)
    if held != head_hash:
        raise ChainContradiction(
            f"the coordinator names {head_hash} as block {height}: the chain forked",
            expected=f"the remembered block {held}",
            action=_EVIDENCE,
        )
    agent.keyring.follow(state)
    return state


def verify_all(
    agent: Agent, progress: Callable[[int, int], None], *, checkpoints: Sequence[HeldCheckpoint] = ()
) -> Report:
    """Download and verify the whole chain from its genesis, streaming.

    The remembered head must be part of it, and it must agree with the checkpoint that this agent holds.

    Args:
        checkpoints: further ones that it must agree with.

    Raises:
        ChainContradiction: the coordinator's chain has another genesis.
    """
    height, _ = _head(_ask(agent), agent.chain_id)
    remembered, held = agent.state.chain(), agent.state.witness.held()
    own = [HeldCheckpoint.read(held.document)] if held else []
    verification = verify_chain(
        _all_records(agent.coordinator, height),
        genesis=agent.chain_id,
        anchor=Anchor(remembered.height, remembered.block_hash) if remembered else None,
        tree=TreeWatch([*own, *checkpoints]),
        tip=height,
        now=agent.clock.now(),
        progress=lambda done: progress(done + 1, height + 1),
    )
    return verification.report


def _ask(agent: Agent) -> object:
    return agent.coordinator.get("blockchain/head")


def _head(head: object, chain_id: str) -> tuple[int, str]:
    document = head if isinstance(head, Mapping) else {}
    named, height, head_hash = document.get("chain_id"), document.get("height"), document.get("block_hash")
    if named != chain_id:
        raise ChainContradiction(
            f"the coordinator serves the chain {named}",
            expected=f"the pinned genesis {chain_id}",
            action="Check the coordinator's address; if it is right, tell the other members.",
        )
    if type(height) is not int or height < 0 or not isinstance(head_hash, str):
        raise CheckFailed("the coordinator's answer names no head", expected="{chain_id, height, block_hash}")
    return height, head_hash


def _verify_page(
    agent: Agent, before: ChainState | None, records: list[ChainRecord]
) -> tuple[ChainState, list[StoredBlock]]:
    if not records:
        raise CheckFailed(
            f"the coordinator withholds block {before.height + 1 if before else 0}",
            expected="every block up to its head",
        )
    verification = verify_chain(records, state=before, genesis=agent.chain_id, now=agent.clock.now())
    bad = verification.report.first_bad
    if bad is not None:
        is_fork = before is not None and bad.height == before.height + 1 and bad.code in _FORKS
        kind = ChainContradiction if is_fork or bad.code == "genesis_mismatch" else CheckFailed
        raise kind(
            f"block {bad.height} does not hold ({bad.code}): {bad.field} is {bad.actual}",
            expected=f"{bad.field} {bad.expected}",
            action=_EVIDENCE,
            height=bad.height,
            check=bad.code,
        )
    assert verification.state is not None
    return verification.state, [_stored(record.header) for record in records]


def _stored(data: bytes) -> StoredBlock:
    header = parse_header(data)
    provenance = header.provenance
    withdrawal = next((entry for entry in header.governance.actions if isinstance(entry, WithdrawRelease)), None)
    concerned = provenance or withdrawal
    return StoredBlock(
        height=header.height,
        block_hash=block_hash(data),
        header=data,
        model_name=concerned.model_name if concerned else None,
        model_version=concerned.model_version if concerned else None,
        model_hash=header.model_hash,
    )


def _all_records(coordinator: Coordinator, height: int) -> Iterator[ChainRecord]:
    following = 0
    while following <= height:
        records = _page(coordinator, following)
        if not records:
            return
        yield from records
        following += len(records)


def _page(coordinator: Coordinator, start: int) -> list[ChainRecord]:
    answer = coordinator.get("blockchain/ledger/export", {"from": start, "limit": PAGE})
    documents = answer.get("records")
    if not isinstance(documents, list):
        raise CheckFailed("the coordinator's export holds no records", expected="a list `records`")
    try:
        return [ChainRecord.from_json(document) for document in documents]
    except Malformed as error:
        raise CheckFailed(f"a record of the export cannot be read: {error.detail}", expected=error.expected) from error
