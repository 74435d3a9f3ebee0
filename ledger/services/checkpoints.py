"""What the log signs and proves: made from the stored tree when somebody asks, and the same for everybody."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from flxdr.core import dsse
from flxdr.platform.identity import coordinator_key, log_key
from ledger import selectors
from ledger.chain import tree
from ledger.chain.checkpoint import (
    Checkpoint,
    NoteSignature,
    SignedCheckpoint,
    TlogProof,
    key_hash,
    log_key_statement,
    origin_of,
    parse_verifier_key,
    sign,
    verifier_key,
)
from ledger.chain.cosignature import KIND
from ledger.errors import SizeUnknown
from ledger.models import Cosignature


@dataclass(frozen=True)
class Inclusion:
    """That the block at `height` is one of the first `size`."""

    height: int
    size: int
    root: bytes
    proof: list[bytes]


@dataclass(frozen=True)
class Consistency:
    """That the first `new` blocks begin with the first `old`."""

    old: int
    new: int
    old_root: bytes
    new_root: bytes
    proof: list[bytes]


def checkpoint(*, size: int | None = None) -> SignedCheckpoint:
    """The log's signed checkpoint of the chain's first `size` blocks (all if left out), with its cosignatures.

    Raises:
        SizeUnknown: the chain has fewer blocks, or the size is 0.
        ledger.errors.BlockMissing: the chain is empty.
        ledger.errors.TreeDamaged: the stored tree lacks nodes.
    """
    size = _known(size)
    spans = tree.whole(size)
    (root,) = tree.hashes_of(spans, selectors.tree_nodes(spans))
    signed = sign(Checkpoint(origin_of(selectors.chain_id()), size, root), log_key())
    return replace(signed, signatures=[*signed.signatures, *map(_line, selectors.cosignatures(size))])


def checkpoint_document(signed: SignedCheckpoint) -> dict[str, Any]:
    """All that somebody needs to check the checkpoint who knows the genesis hash and nothing else."""
    rows = selectors.cosignatures(signed.checkpoint.size)
    return {
        **signed.checkpoint.as_json(),
        "note": signed.encode().decode(),
        "log_key": verifier_key_of_log(),
        "log_key_statement": log_key_envelope().as_json(),
        "witnesses": [_witness(row) for row in rows],
    }


def _witness(row: Cosignature) -> dict[str, Any]:
    key = row.witness
    envelope = dsse.Envelope(dsse.WITNESS_KEY_TYPE, bytes(key.statement), [(key.key_id, bytes(key.signature))])
    return {"org_id": row.org_id, "witness_key": key.verifier_key, "witness_key_statement": envelope.as_json()}


def _line(row: Cosignature) -> NoteSignature:
    name, key = parse_verifier_key(row.witness.verifier_key, kind=KIND)
    return NoteSignature(name, key_hash(name, key, kind=KIND), bytes(row.signature))


def verifier_key_of_log() -> str:
    """The log's public key as C2SP tools take it."""
    return verifier_key(origin_of(selectors.chain_id()), log_key().public)


def log_key_envelope() -> dsse.Envelope:
    """The statement that names the log's key, signed by the coordinator's key, which the chain records."""
    statement = log_key_statement(selectors.chain_id(), log_key().public)
    key = coordinator_key()
    signature = dsse.sign(key, dsse.LOG_KEY_TYPE, statement)
    return dsse.Envelope(dsse.LOG_KEY_TYPE, statement, [(key.public.key_id, signature)])


def prove_inclusion(*, height: int, size: int | None = None) -> Inclusion:
    """Prove that a block is one of the first `size`; of all if left out.

    Raises:
        SizeUnknown: the chain has fewer blocks, or the block is not among them.
        ledger.errors.BlockMissing: no block at that height.
        ledger.errors.TreeDamaged: the stored tree lacks nodes.
    """
    selectors.block_at(height)
    size = _known(size)
    if height >= size:
        raise SizeUnknown(
            f"block {height} is none of the first {size}", expected=f"a size of at least {height + 1}", size=size
        )
    path = tree.inclusion_spans(height, size)
    root, *proof = _hashes([*tree.whole(size), *path])
    return Inclusion(height, size, root, proof)


def prove_consistency(*, old: int, new: int | None = None) -> Consistency:
    """Prove that the first `new` blocks (all if left out) begin with the first `old`.

    Raises:
        SizeUnknown: the chain has fewer blocks, or `old` is beyond `new`.
        ledger.errors.TreeDamaged: the stored tree lacks nodes.
    """
    new = _known(new)
    if not 0 < old <= new:
        raise SizeUnknown(f"no consistency between sizes {old} and {new}", expected=f"1 to {new}", size=old)
    old_root, new_root, *proof = _hashes([*tree.whole(old), *tree.whole(new), *tree.consistency_spans(old, new)])
    return Consistency(old, new, old_root, new_root, proof)


def tlog_proof(*, height: int, size: int | None = None) -> TlogProof:
    """A block's inclusion proof together with the checkpoint that it leads to.

    Raises:
        SizeUnknown, ledger.errors.BlockMissing, ledger.errors.TreeDamaged: as `prove_inclusion`.
    """
    inclusion = prove_inclusion(height=height, size=size)
    return TlogProof(height, tuple(inclusion.proof), checkpoint(size=inclusion.size).encode())


def _hashes(spans: list[tree.Span]) -> list[bytes]:
    return tree.hashes_of(spans, selectors.tree_nodes(spans))


def _known(size: int | None) -> int:
    current = selectors.head().height + 1
    if size is None:
        return current
    if not 0 < size <= current:
        raise SizeUnknown(f"the chain never had {size} blocks", expected=f"1 to {current}", size=size)
    return size
