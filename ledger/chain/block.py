"""Blocks: the header, its only byte string, and what is indexed of it.

A header is stored and signed as its canonical bytes; `parse_header` reads those, `Header.encode` writes them. The
fields stand from the first block on: later versions of the software add checks, never fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from flxdr.core import canonical
from flxdr.core.clock import parse_timestamp
from flxdr.core.errors import Malformed
from ledger.chain import merkle

ZERO_HASH = "0" * 64
COORDINATOR = "coordinator"

BlockType = Literal["genesis", "release", "governance"]
Rule = Literal["genesis", "coordinator-only", "operator", "quorum"]
_HASH = re.compile(r"\A[0-9a-f]{64}\Z")
Hash = Annotated[str, Meta(pattern=_HASH.pattern)]
Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.-]{1,64}\Z")]
Timestamp = Annotated[str, Meta(pattern=r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")]
Count = Annotated[int, Meta(ge=0)]
Ordinal = Annotated[int, Meta(ge=1)]
Scalar = int | str | bool | None


class HeaderMalformed(Malformed):
    """Canonical bytes that are no header; `field` says where."""

    code = "header_malformed"
    title = "Malformed block header"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class KeyEntry(_Part, frozen=True):
    """A verification key: `spki` is base64 of the DER SubjectPublicKeyInfo, `key_id` its SHA-256."""

    algorithm: Literal["ML-DSA-65", "Ed25519"]
    key_id: Hash
    spki: str


class PolicyEntry(_Part, frozen=True):
    """How releases and governance are approved: more than numerator/denominator of the voters, `minimum` at least."""

    method: Literal["multisig", "operator"]
    numerator: Ordinal
    denominator: Ordinal
    minimum: Ordinal


class Found(_Part, frozen=True, tag_field="action", tag="found"):
    """Genesis: the coordinator's key, the approval policy, and the chain that this one replaces (or null)."""

    coordinator: KeyEntry
    policy: PolicyEntry
    predecessor: Hash | None


class RegistrationStatement(_Part, frozen=True):
    """What an organisation signs with the key that it registers."""

    v: Literal[1]
    org_id: Name
    org_name: Annotated[str, Meta(min_length=1, max_length=200)]
    key_id: Hash
    chain_id: Hash


class Endorsement(_Part, frozen=True):
    """The same statement signed by a key that the organisation already has on the chain."""

    key_id: Hash
    signature: str


class Admit(_Part, frozen=True, tag_field="action", tag="admit"):
    """A key becomes an organisation's key. `proof` is the new key's signature over `statement`.

    A further key of an organisation that is a member already needs its `endorsement`, so that nobody else can vote
    under its name.
    """

    org_id: Name
    key: KeyEntry
    statement: RegistrationStatement
    proof: str
    endorsement: Endorsement | None


Action = Found | Admit


class Governance(_Part, frozen=True):
    """By which rule this block is sealed, who may vote, how many must, and what it changes."""

    rule: Rule
    voters: tuple[Name, ...]
    threshold: Count
    actions: tuple[Action, ...]


class Provenance(_Part, frozen=True):
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


class Header(_Part, frozen=True, kw_only=True):
    """What is hashed and signed. `prev_hash`, `prev_cert` and `chain_id` of genesis are zeros."""

    v: Literal[1] = 1
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
        header = _convert(canonical.decode(data), Header)
    parse_timestamp(header.timestamp)
    return header


def parse_provenance(document: Mapping[str, Any]) -> Provenance:
    """Read a release's provenance.

    Raises:
        HeaderMalformed: a field is missing, unknown, or of another type.
    """
    return _convert(dict(document), Provenance)


def parse_statement(data: bytes) -> RegistrationStatement:
    """Read the canonical bytes of a registration statement.

    Raises:
        flxdr.core.canonical.NotCanonical: the bytes are not in canonical form.
        HeaderMalformed: a field is missing, unknown, or of another type.
    """
    return _convert(canonical.decode(data), RegistrationStatement)


def encode_statement(statement: RegistrationStatement) -> bytes:
    """The bytes that a registration's proof and endorsement sign."""
    return canonical.encode(msgspec.to_builtins(statement))


def is_hash(text: str) -> bool:
    """Whether `text` is spelled as hashes are: 64 lower-case hex digits."""
    return _HASH.match(text) is not None


def parse_hash(text: str, field: str) -> str:
    """Check that a text is a SHA-256 in lower-case hex.

    Raises:
        HeaderMalformed: it is not; names `field`.
    """
    if not is_hash(text):
        raise HeaderMalformed(f"{field}: {text!r} is no hash", expected="64 lower-case hex digits", field=field)
    return text


def block_hash(header: bytes) -> str:
    """SHA-256 of the header bytes, lower-case hex."""
    return canonical.digest(header)


def index_columns(header: Header, header_bytes: bytes) -> dict[str, str | int | None]:
    """What the database indexes of a block: column name to value, timestamps in their canonical spelling."""
    provenance = header.provenance
    return {
        "height": header.height,
        "type": header.type,
        "timestamp": header.timestamp,
        "block_hash": block_hash(header_bytes),
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


T = TypeVar("T")


def _convert(document: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `")
        field = path.rstrip("`").removeprefix("$.") or "$"
        raise HeaderMalformed(f"{field}: {message}", expected=message, field=field) from error
