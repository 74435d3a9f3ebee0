"""Blocks: the header, its only byte string, and what is indexed of it.

A header is stored and signed as its canonical bytes; `parse_header` reads those, `Header.encode` writes them. The
fields stand from the first block on: later versions of the software add checks, never fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from flxdr.core import canonical
from flxdr.core.clock import parse_timestamp
from ledger.chain import merkle
from ledger.chain.entries import Action
from ledger.chain.fields import Count, Hash, Name, Ordinal, Part, Scalar, Timestamp, convert

ZERO_HASH = "0" * 64

BlockType = Literal["genesis", "release", "governance"]
Rule = Literal["genesis", "coordinator-only", "operator", "quorum"]


class Governance(Part, frozen=True):
    """By which rule this block is sealed, who may vote, how many must, and what it changes."""

    rule: Rule
    voters: tuple[Name, ...]
    threshold: Count
    actions: tuple[Action, ...]


class Provenance(Part, frozen=True):
    """Where a released model comes from. Ratios are scaled to integers (ppm).

    `config_hash` is the SHA-256 of the round's whole configuration, of which the fields that readers ask for are
    repeated here. `optimizer_state_hash` is the SHA-256 of the state file that the aggregation left behind for the
    model's next round, null for methods that keep none.
    """

    round_id: Name
    round_number: Ordinal
    config_hash: Hash
    model_name: Name
    model_version: Ordinal
    parent_model_hash: Hash | None
    aggregation_method: Name
    aggregation_params: dict[str, Scalar]
    weighting: Name
    optimizer_state_hash: Hash | None
    protection: Name
    training_orgs: tuple[Name, ...]
    samples_total: Count
    submissions_root: Hash
    privacy: dict[str, Scalar]
    metrics_ppm: dict[str, int]


class Header(Part, frozen=True, kw_only=True):
    """What is hashed and signed. `prev_hash`, `prev_cert` and `chain_id` of genesis are zeros."""

    v: Literal[1]
    type: BlockType
    chain_id: Hash
    height: Count
    timestamp: Timestamp
    prev_hash: Hash
    prev_cert: Hash
    model_hash: Hash | None
    provenance: Provenance | None
    governance: Governance

    def encode(self) -> bytes:
        """The canonical bytes.

        Raises:
            flxdr.core.canonical.NotCanonical: a text or number outside the canonical profile.
        """
        return canonical.encode(msgspec.to_builtins(self))


def parse_header(data: bytes) -> Header:
    """Read header bytes.

    Raises:
        flxdr.core.canonical.NotCanonical: the bytes are not in canonical form.
        HeaderMalformed: a field is missing, unknown, or of another type.
    """
    header = _read_plain(data)
    if header is None:
        header = convert(canonical.decode(data), Header)
    parse_timestamp(header.timestamp)
    return header


def parse_provenance(document: Mapping[str, Any]) -> Provenance:
    """Read a release's provenance.

    Raises:
        HeaderMalformed: a field is missing, unknown, or of another type.
    """
    return convert(dict(document), Provenance)


def block_hash(header: bytes) -> str:
    """SHA-256 of the header bytes, lower-case hex."""
    return canonical.digest(header)


def index_columns(header: Header, hash_: str) -> dict[str, str | int | None]:
    """What the database indexes of a block with that hash: column name to value, times in their canonical spelling."""
    provenance = header.provenance
    return {
        "height": header.height,
        "type": header.type,
        "timestamp": header.timestamp,
        "block_hash": hash_,
        "prev_hash": header.prev_hash,
        "model_hash": header.model_hash,
        "model_name": provenance.model_name if provenance else None,
        "model_version": provenance.model_version if provenance else None,
        "parent_model_hash": provenance.parent_model_hash if provenance else None,
        "round_id": provenance.round_id if provenance else None,
    }


@dataclass(frozen=True)
class SubmissionEntry:
    """One accepted submission as the release's Merkle tree knows it."""

    org_id: str
    submission_digest: str
    samples: int


def submission_leaf(org_id: str, submission_digest: str, samples: int) -> bytes:
    """The leaf data of one submission; `submission_digest` is the SHA-256 of the bytes as received."""
    return canonical.encode({"org_id": org_id, "samples": samples, "submission_digest": submission_digest})


def submission_leaves(entries: Iterable[SubmissionEntry]) -> list[bytes]:
    """The leaves of a release in tree order: by organisation."""
    ordered = sorted(entries, key=lambda entry: entry.org_id)
    return [submission_leaf(entry.org_id, entry.submission_digest, entry.samples) for entry in ordered]


def submissions_root(entries: Iterable[SubmissionEntry]) -> str:
    """RFC 6962 root over a release's submissions, lower-case hex."""
    return merkle.root(submission_leaves(entries)).hex()


_DECODER = msgspec.json.Decoder(Header)


def _read_plain(data: bytes) -> Header | None:
    """The header that `parse_header` reads, for plain bytes; None for all others, good or bad.

    The types leave no room for floats, and what they give, written again, has to be the same bytes: no second spelling
    passes. Only `aggregation_params`, `privacy` and `metrics_ppm` have keys that no type names.
    """
    try:
        header = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    provenance = header.provenance
    if provenance is not None:
        for free in (provenance.aggregation_params, provenance.privacy, provenance.metrics_ppm):
            if not all(map(canonical.is_key, free)):
                return None
    return header if canonical.is_encoding(msgspec.to_builtins(header), data) else None
