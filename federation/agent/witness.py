"""The organisation's witness: it holds the log's newest checkpoint, cosigns it, and compares what others cosigned.

The agent verifies every block itself and grows the tree over their headers, so it knows the root of every size. A note
of the log, or a cosignature of another member, over another root of a size that it knows proves that the coordinator
showed two histories; both notes are kept, each a file that `flxdr-agent verify --checkpoint` takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from federation.agent import files
from federation.agent.errors import ChainContradiction, CheckFailed, Refused
from federation.agent.session import Agent
from federation.agent.state_tree import Held
from flxdr.core import dsse
from flxdr.core.errors import Malformed
from ledger.chain import cosignature as cosignatures
from ledger.chain import merkle
from ledger.chain.anchoring import HeldCheckpoint
from ledger.chain.checkpoint import Checkpoint, origin_of
from ledger.chain.failures import BlockInvalid
from ledger.chain.state import ChainState

PATH = "blockchain/checkpoint"


@dataclass(frozen=True)
class Shown:
    """A checkpoint as the coordinator answered it."""

    document: Mapping[str, Any]
    held: HeldCheckpoint

    @property
    def checkpoint(self) -> Checkpoint:
        return self.held.checkpoint

    def encode(self) -> bytes:
        return orjson.dumps(self.document, option=orjson.OPT_SORT_KEYS)


def attend(agent: Agent, state: ChainState) -> Held | None:
    """Hold and cosign the log's checkpoint of the verified chain, and compare it with what others cosigned.

    Returns:
        The checkpoint that was cosigned now, if any.

    Raises:
        ChainContradiction: the log, or another witness, signed another history than this agent verified.
        CheckFailed: an answer that does not hold.
        Refused, Unreachable: the coordinator gives no checkpoint, or does not take the cosignature.
    """
    book = agent.state.witness
    held = book.held()
    if held is None or held.size <= state.height:
        held = _hold_newest(agent, state, held)
    due = held.cosignature is not None and not held.sent
    if due:
        _send(agent, held)
    _compare(agent, state, held)
    return held if due else None


def newest_cosigned(agent: Agent, count: int) -> HeldCheckpoint:
    """The newest checkpoint that, says the coordinator, at least `count` members cosigned; nothing is verified.

    Raises:
        CheckFailed: it has none.
    """
    try:
        shown = _ask(agent, {"cosigned": count})
    except Refused as refusal:
        if refusal.http_status != 404:
            raise
        raise CheckFailed(
            f"the coordinator has no checkpoint that {count} members cosigned",
            action="Ask the members for theirs, and verify the chain against those.",
        ) from refusal
    return replace(shown.held, is_anchor=False)


def _hold_newest(agent: Agent, state: ChainState, before: Held | None) -> Held:
    size = state.height + 1
    shown = _ask(agent, {"size": size})
    _check_log(state, shown)
    _check_root(agent, state, shown, before)
    if shown.checkpoint.size != size:
        kind = ChainContradiction if before and shown.checkpoint.size < before.size else CheckFailed
        raise kind(
            f"the coordinator shows a checkpoint of {shown.checkpoint.size} blocks", expected=f"of {size} blocks"
        )
    root = shown.checkpoint.root
    if before is not None:
        _check_consistency(agent, before, size, root)
    line = None
    if state.keys.key(agent.org_id, agent.key.public.key_id) is not None:
        name = cosignatures.witness_name(state.chain_id, agent.org_id)
        time = int(agent.clock.now().timestamp())
        line = cosignatures.cosign(shown.held.signed.text, name, agent.home.witness_key(), time=time).line()
    held = agent.state.witness.hold(Held(size, root, shown.encode(), line))
    _keep_newest(agent)
    return held


def _keep_newest(agent: Agent) -> None:
    """The held checkpoint as a file, to copy and to compare."""
    held = agent.state.witness.held()
    assert held is not None
    files.write_durably(agent.home.checkpoint_file, held.document + b"\n")


def _ask(agent: Agent, query: Mapping[str, str | int]) -> Shown:
    document = agent.coordinator.get(PATH, query)
    try:
        return Shown(document, HeldCheckpoint.from_json(document))
    except Malformed as error:
        raise CheckFailed(f"the checkpoint cannot be read: {error.detail}", expected=error.expected) from error


def _check_log(state: ChainState, shown: Shown) -> None:
    try:
        shown.held.check_signature(state.keys.coordinator, chain_id=state.chain_id)
    except BlockInvalid as error:
        raise CheckFailed(f"the checkpoint is not the log's: {error.actual_value}", expected=error.expected) from error


def _check_root(agent: Agent, state: ChainState, shown: Shown, held: Held | None) -> None:
    """Hold a genuinely signed checkpoint of a size that this agent knows against its own tree."""
    checkpoint = shown.checkpoint
    own = _own_root(agent, state, checkpoint)
    if own is None or own == checkpoint.root:
        return
    kept = [_keep_evidence(agent, checkpoint, shown.encode())]
    if held is not None:
        kept.append(_keep_evidence(agent, Checkpoint(checkpoint.origin, held.size, held.root), held.document))
    raise ChainContradiction(
        f"a signed checkpoint says that the first {checkpoint.size} blocks have the root {checkpoint.root.hex()}: "
        "the coordinator shows two histories",
        expected=f"the root {own.hex()} of the blocks that this agent verified",
        action=f"Show the other members what was signed: {', '.join(kept)}.",
        size=checkpoint.size,
    )


def _own_root(agent: Agent, state: ChainState, checkpoint: Checkpoint) -> bytes | None:
    if checkpoint.origin != origin_of(state.chain_id) or not 0 < checkpoint.size <= state.height + 1:
        return None
    return agent.state.witness.root(checkpoint.size)


def _check_consistency(agent: Agent, before: Held, size: int, root: bytes) -> None:
    answer = agent.coordinator.get("blockchain/proof/consistency", {"from": before.size, "to": size})
    try:
        proof = [bytes.fromhex(node) for node in answer["proof"]]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckFailed("the coordinator's answer holds no proof", expected="a list of hashes `proof`") from error
    if not merkle.verify_consistency(before.size, size, proof, before.root, root):
        raise CheckFailed(
            f"the proof does not lead from the held checkpoint of {before.size} blocks to that of {size}",
            expected="a consistency proof (RFC 6962)",
        )


def _send(agent: Agent, held: Held) -> None:
    assert held.cosignature is not None
    line = held.cosignature.rstrip("\n")
    statement = cosignatures.witness_key_statement(agent.chain_id, agent.org_id, agent.home.witness_key().public)
    signature = dsse.sign(agent.key, dsse.WITNESS_KEY_TYPE, statement)
    envelope = dsse.Envelope(dsse.WITNESS_KEY_TYPE, statement, [(agent.key.public.key_id, signature)])
    body = {"size": held.size, "cosignature": line, "witness_key_statement": envelope.as_json()}
    agent.coordinator.post(f"{PATH}/cosignatures", body)
    agent.state.witness.mark_sent(held.size)


def _compare(agent: Agent, state: ChainState, held: Held) -> None:
    """Look at the newest checkpoint that others cosigned, until everybody has cosigned the held one."""
    members = state.keys.members
    others = len(members.keys() - {agent.org_id})
    if not others or (held.cosigned_size == held.size and len(held.cosigned_by) == len(members)):
        return
    try:
        shown = _ask(agent, {"cosigned": 1 if held.cosignature is None else 2})
    except Refused as refusal:
        if refusal.http_status == 404:  # nobody has yet
            return
        raise
    _check_origin(state, shown)
    own = _own_root(agent, state, shown.checkpoint)
    if own is None:
        return  # larger than what this agent has verified so far
    signers, bad = cosignatures.cosigners(shown.held.signed, shown.held.witnesses, members, chain_id=state.chain_id)
    if not signers:
        _check_log(state, shown)
    _check_root(agent, state, shown, held)
    if bad:
        raise CheckFailed(
            f"the cosignature of {', '.join(bad)} is not over the checkpoint of {shown.checkpoint.size} blocks",
            expected="what was cosigned",
            action="Compare your checkpoint.json with theirs: the coordinator may have shown them another chain.",
        )
    _check_log(state, shown)
    agent.state.witness.note_cosigned(shown.checkpoint.size, signers, shown.encode())
    _keep_newest(agent)


def _check_origin(state: ChainState, shown: Shown) -> None:
    if shown.checkpoint.origin != origin_of(state.chain_id):
        raise CheckFailed(f"a checkpoint of {shown.checkpoint.origin}", expected=origin_of(state.chain_id))


def _keep_evidence(agent: Agent, checkpoint: Checkpoint, document: bytes) -> str:
    files.make_private_folder(agent.home.evidence)
    path = agent.home.evidence / f"checkpoint-{checkpoint.size}-{checkpoint.root.hex()[:16]}.json"
    files.write_durably(path, document + b"\n")
    return str(path)
