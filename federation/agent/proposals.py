"""Proposals as the coordinator lists them, read without trusting a word that the header does not say."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.agent.errors import CheckFailed
from federation.agent.session import Agent
from flxdr.core.dsse import decode_base64
from flxdr.core.errors import FlxdrError
from ledger.chain.block import Header, block_hash, parse_header
from ledger.chain.entries import Action, Revoke, Rotate, SetPolicy, WithdrawRelease, subject_of


@dataclass(frozen=True)
class Proposal:
    """A proposed block. `block_hash` is computed here from the header's bytes."""

    id: int
    status: str
    header: bytes
    block_hash: str
    approvals: tuple[str, ...]
    rejections: tuple[Mapping[str, Any], ...]
    deadline: str

    @property
    def is_open(self) -> bool:
        return self.status == "open"

    def parsed(self) -> Header:
        """The header.

        Raises:
            CheckFailed: its bytes are not canonical, or no header.
        """
        try:
            return parse_header(self.header)
        except FlxdrError as error:
            raise CheckFailed(f"the proposed header cannot be read: {error.detail}", expected=error.expected) from error

    def parsed_height(self) -> int:
        """The height that the header claims; one below every block for a header that cannot be read."""
        try:
            return self.parsed().height
        except CheckFailed:
            return -1


def read_proposal(document: Mapping[str, Any]) -> Proposal:
    """Read a proposal that has a header (queued ones have none yet).

    Raises:
        CheckFailed: it cannot be read, or its hash is not that of its header.
    """
    try:
        header = decode_base64(document["header"], "header")
        proposal = Proposal(
            id=int(document["id"]),
            status=str(document["status"]),
            header=header,
            block_hash=block_hash(header),
            approvals=tuple(_org(item) for item in document.get("approvals", ())),
            rejections=tuple(item for item in document.get("rejections", ()) if isinstance(item, Mapping)),
            deadline=str(document.get("deadline")),
        )
    except (KeyError, TypeError, ValueError, FlxdrError) as error:
        raise CheckFailed(f"the coordinator's proposal cannot be read: {error!r}") from error
    if document.get("block_hash") != proposal.block_hash:
        raise CheckFailed(
            f"proposal {proposal.id} is announced as block {document.get('block_hash')}",
            expected=f"the hash of its header, {proposal.block_hash}",
        )
    return proposal


def about(document: Mapping[str, Any]) -> str:
    """What a listed proposal is about: in the words of its header, where it has one, never in the coordinator's.

    Raises:
        CheckFailed: it cannot be read, or its hash is not that of its header.
    """
    if document.get("header") is None:
        return f"waits (the coordinator says: {document.get('round_id') or document.get('subject')})"
    header = read_proposal(document).parsed()
    if header.provenance is not None:
        return f"{header.provenance.model_name} v{header.provenance.model_version}, {header.provenance.round_id}"
    return ", ".join(_entry(action) for action in header.governance.actions)


def _entry(action: Action) -> str:
    match action:
        case SetPolicy(policy=policy):
            least = f"more than {policy.numerator}/{policy.denominator}, at least {policy.minimum}"
            return f"{subject_of(action)} {policy.method}: {least}"
        case Rotate():
            return f"{subject_of(action)} by {action.key.key_id}"
        case Revoke() | WithdrawRelease():
            return f"{subject_of(action)}: {action.reason}"
    return subject_of(action)


def list_proposals(agent: Agent, *, only_open: bool) -> Sequence[Mapping[str, Any]]:
    """The coordinator's newest proposals as it lists them.

    Raises:
        CheckFailed: the answer holds no list.
    """
    answer = agent.coordinator.get("blockchain/proposals", {"open": "true"} if only_open else {})
    documents = answer.get("proposals")
    if not isinstance(documents, list):
        raise CheckFailed("the coordinator's answer holds no list of proposals", expected="a list `proposals`")
    return documents


def fetch_proposal(agent: Agent, proposal_id: int) -> Proposal:
    """One proposal by its number.

    Raises:
        Refused: there is none.
        CheckFailed: it cannot be read.
    """
    return read_proposal(agent.coordinator.get(f"blockchain/proposals/{proposal_id}"))


def reason_text(text: str, *, limit: int = 500) -> str:
    """A reason as a rejection may carry it: NFC, printable, bounded."""
    normal = unicodedata.normalize("NFC", text)
    cleaned = "".join(char if char.isprintable() else " " for char in normal).strip()[:limit].strip()
    return cleaned or "no reason given"


def _org(item: object) -> str:
    return str(item.get("org_id")) if isinstance(item, Mapping) else str(item)
