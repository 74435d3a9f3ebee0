"""The tree that grows under a verification, compared with what others hold of it: checkpoints, stored nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from flxdr.core import dsse
from flxdr.core.errors import FlxdrError
from flxdr.core.keys import PublicKey
from ledger.chain import checkpoint as notes
from ledger.chain.checkpoint import Checkpoint, CheckpointMalformed, SignedCheckpoint, origin_of
from ledger.chain.cosignature import cosigners
from ledger.chain.failures import BlockInvalid, require
from ledger.chain.state import ChainState
from ledger.chain.tree import Frontier, stored_nodes

NO_NODE = "no node"


@dataclass(frozen=True)
class HeldCheckpoint:
    """A checkpoint that somebody kept, and what makes its signature the log's: a key, or a statement that names one.

    `witnesses` are the statements of those who cosigned it. One that only the coordinator hands over, beside the chain
    (`is_anchor` is false), shows damage on the way, but anchors nothing unless members cosigned it.
    """

    signed: SignedCheckpoint
    log_key: PublicKey | None = None
    statement: dsse.Envelope | None = None
    witnesses: tuple[dsse.Envelope, ...] = ()
    is_anchor: bool = True

    @classmethod
    def read(cls, data: bytes, log_key: str | None = None) -> HeldCheckpoint:
        """Read a file: the note, or the JSON form of `GET blockchain/checkpoint`. Nothing is verified.

        Args:
            log_key: the log's verifier key, learned elsewhere; the file's own statement is not looked at then.

        Raises:
            Malformed: no checkpoint, or a note alone without a key to check it by.
        """
        key = notes.parse_verifier_key(log_key)[1] if log_key is not None else None
        if not data.startswith(b"{"):
            if key is None:
                raise CheckpointMalformed(
                    "a note alone does not say whose signature counts",
                    expected="the log's verifier key beside it, or the JSON form of the checkpoint",
                    action="Give --log-key, or keep what the coordinator answers to `Accept: application/json`.",
                )
            return cls(notes.parse(data), key)
        document = _document(data)
        if key is None:
            return cls.from_json(document)
        return cls(notes.parse(_note(document)), key, witnesses=_statements(document))

    @classmethod
    def from_json(cls, document: dict[str, Any], *, is_anchor: bool = True) -> HeldCheckpoint:
        """Read the JSON form.

        Raises:
            Malformed: a member is missing or has another type.
        """
        statement = document.get("log_key_statement")
        if not isinstance(statement, dict):
            raise CheckpointMalformed("the document holds no statement of the log's key", expected="log_key_statement")
        return cls(
            notes.parse(_note(document)),
            statement=dsse.Envelope.from_json(statement),
            witnesses=_statements(document),
            is_anchor=is_anchor,
        )

    @property
    def checkpoint(self) -> Checkpoint:
        return self.signed.checkpoint

    def can_be_judged_by(self, coordinator: PublicKey) -> bool:
        """Whether that key of the coordinator is the one that signed the statement."""
        signers = [key_id for key_id, _ in self.statement.signatures] if self.statement else []
        return self.log_key is not None or coordinator.key_id in signers

    def check_signature(self, coordinator: PublicKey, *, chain_id: str) -> None:
        """Check that the chain's log signed the note.

        Raises:
            BlockInvalid: `checkpoint_signature`.
        """
        try:
            key = self.log_key
            if key is None:
                assert self.statement is not None
                key = notes.endorsed_log_key(self.statement, coordinator, chain_id=chain_id)
            notes.verify(self.signed.encode(), key, origin=origin_of(chain_id))
        except FlxdrError as error:
            _refuse_signature(self.checkpoint, error.detail)


@dataclass(frozen=True)
class Agreement:
    """A held checkpoint that the chain agrees with, and the members whose cosignatures of it hold."""

    checkpoint: Checkpoint
    cosigned_by: tuple[str, ...]

    @property
    def size(self) -> int:
        return self.checkpoint.size

    def as_json(self) -> dict[str, Any]:
        return {**self.checkpoint.as_json(), "cosigned_by": list(self.cosigned_by)}


class TreeWatch:
    """Grows the tree block by block and compares.

    Args:
        held: checkpoints that somebody outside keeps.
        stored: position and hash of every node that a database stores (after those of `frontier`), in order.
        frontier: of the blocks before those that come; it grows with them. Held checkpoints need all blocks.
    """

    def __init__(
        self,
        held: Sequence[HeldCheckpoint] = (),
        *,
        stored: Iterator[tuple[int, bytes]] | None = None,
        frontier: Frontier | None = None,
    ) -> None:
        self.last_good: Agreement | None = None
        self._held = held
        self._stored = stored
        self._frontier = frontier if frontier is not None else Frontier()
        self._due: defaultdict[int, list[HeldCheckpoint]] = defaultdict(list)
        self._waiting: list[tuple[HeldCheckpoint, bytes]] = []
        self._coordinator: PublicKey | None = None
        for each in held:
            self._due[each.checkpoint.size].append(each)

    def add(self, header: bytes, state: ChainState) -> None:
        """Add a block; `state` is the chain's after it.

        Raises:
            BlockInvalid: `checkpoint_of_another_chain`, `checkpoint_root_mismatch`, `checkpoint_signature` or
                `tree_mismatch`.
        """
        if self._frontier.size == 0:
            self._check_origins(state)
            self._compare(state)
        position = stored_nodes(self._frontier.size)
        completed = self._frontier.append(header)
        if self._stored is not None:
            for number, node in enumerate(completed, start=position):
                _check_node(next(self._stored, None), number, node)
        if state.keys.coordinator != self._coordinator:
            self._coordinator = state.keys.coordinator
            waiting, self._waiting = self._waiting, []
            for each, root in waiting:
                self._judge(each, root, state)
        self._compare(state)

    def end(self) -> None:
        """Check what can only be told when no further block comes.

        Raises:
            BlockInvalid: `checkpoint_beyond_chain`, `checkpoint_signature`, or `tree_mismatch` for nodes beyond.
        """
        size = self._frontier.size
        for beyond in self._due.values():
            raise BlockInvalid(
                "checkpoint_beyond_chain",
                "size",
                expected=f"the {beyond[0].checkpoint.size} blocks of the checkpoint",
                actual=f"{size} blocks",
            )
        for each, _ in self._waiting:
            _refuse_signature(each.checkpoint, "the coordinator's keys on the chain signed no statement of its key")
        if self._stored is not None:
            for position, node in self._stored:
                raise BlockInvalid("tree_mismatch", f"tree node {position}", expected=NO_NODE, actual=node.hex())

    def _check_origins(self, state: ChainState) -> None:
        for each in self._held:
            origin, expected = each.checkpoint.origin, origin_of(state.chain_id)
            require(origin == expected, "checkpoint_of_another_chain", "origin", expected=expected, actual=origin)

    def _compare(self, state: ChainState) -> None:
        for each in self._due.pop(self._frontier.size, ()):
            self._judge(each, self._frontier.root(), state)

    def _judge(self, held: HeldCheckpoint, root: bytes, state: ChainState) -> None:
        # A statement may be younger than its checkpoint, so the key that signed it may come to be in force only later.
        if not held.can_be_judged_by(state.keys.coordinator):
            self._waiting.append((held, root))
            return
        held.check_signature(state.keys.coordinator, chain_id=state.chain_id)
        checkpoint = held.checkpoint
        if root != checkpoint.root:
            raise BlockInvalid(
                "checkpoint_root_mismatch",
                "root_hash",
                expected=checkpoint.root.hex(),
                actual=root.hex(),
                height=_newest_block(checkpoint),
            )
        signers, _ = cosigners(held.signed, held.witnesses, state.keys.members, chain_id=state.chain_id)
        rank = (checkpoint.size, len(signers))
        best = (self.last_good.size, len(self.last_good.cosigned_by)) if self.last_good else (-1, 0)
        if (held.is_anchor or signers) and rank > best:
            self.last_good = Agreement(checkpoint, tuple(signers))


def _newest_block(checkpoint: Checkpoint) -> int:
    return max(0, checkpoint.size - 1)


def _check_node(stored: tuple[int, bytes] | None, position: int, node: bytes) -> None:
    if stored != (position, node):
        actual = stored[1].hex() if stored is not None and stored[0] == position else NO_NODE
        raise BlockInvalid("tree_mismatch", f"tree node {position}", expected=node.hex(), actual=actual)


def _refuse_signature(checkpoint: Checkpoint, why: str) -> NoReturn:
    raise BlockInvalid(
        "checkpoint_signature",
        "signature",
        expected="the log's, whose key the coordinator's key on the chain vouches for, or --log-key",
        actual=why,
        height=_newest_block(checkpoint),
    )


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise CheckpointMalformed(f"the checkpoint is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise CheckpointMalformed("the checkpoint is no JSON object", expected="{note, log_key_statement}")
    return document


def _note(document: dict[str, Any]) -> bytes:
    note = document.get("note")
    if not isinstance(note, str):
        raise CheckpointMalformed("the document holds no note", expected="a text `note`")
    return note.encode()


def _statements(document: dict[str, Any]) -> tuple[dsse.Envelope, ...]:
    witnesses = document.get("witnesses") or ()
    try:
        return tuple(dsse.Envelope.from_json(each["witness_key_statement"]) for each in witnesses)
    except (TypeError, KeyError) as error:
        raise CheckpointMalformed(
            f"the document's witnesses cannot be read: {error!r}", expected="a list of {org_id, witness_key_statement}"
        ) from error
