"""Provenance of a release as an in-toto statement, signed by one organisation: a model card with a chain behind it.

The payload is an in-toto Statement v1 (in-toto/attestation, spec/v1/statement.md) in a DSSE envelope, so that any
in-toto tool reads it. Its predicate repeats the block's provenance and adds what only the signing organisation knows:
its own update, with the proof that the release contains it, and how the model did on its own records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import msgspec

from flxdr.core.dsse import IN_TOTO_TYPE, Envelope, sign, verify
from flxdr.core.errors import Invalid
from flxdr.core.keys import PrivateKey, PublicKey
from ledger.chain import merkle
from ledger.chain.anchoring import TreeWatch
from ledger.chain.block import Header, Provenance, block_hash, parse_header, submission_leaf
from ledger.chain.entries import Admit, Revoke, Rotate
from ledger.chain.fields import Count, Hash, HeaderMalformed, Name, Ordinal, Part
from ledger.chain.membership import read_key
from ledger.chain.record import ChainRecord
from ledger.chain.verify import Report, verify_chain

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:flxdr:predicate:release-provenance:v1"


class StatementInvalid(Invalid):
    """A statement that the chain does not bear out; `field` says where."""

    code = "statement_invalid"
    title = "Invalid provenance statement"


class Digest(Part, frozen=True):
    """The model's hash: SHA-256 of its file."""

    sha256: Hash


class Subject(Part, frozen=True):
    """The model: `name` is `<model>@v<version>`."""

    name: str
    digest: Digest


class BlockReference(Part, frozen=True):
    """The block that released the model. `chain_id` is the hash of its genesis."""

    chain_id: Hash
    height: Count
    block_hash: Hash


class OwnUpdate(Part, frozen=True):
    """The organisation's own update in the round: SHA-256 of its bytes, sample count, and its place among all.

    `leaf_index` and `proof` (RFC 6962, bottom up) lead from it to the release's `submissions_root`.
    """

    sha256: Hash
    samples: Ordinal
    leaf_index: Count
    proof: tuple[Hash, ...]


class OwnValidation(Part, frozen=True):
    """Scores of the parent (null: none to compare with) and of the release on the organisation's own records."""

    score: Name
    before_ppm: int | None
    after_ppm: int


class Organization(Part, frozen=True):
    """What the signing organisation says of its own part; null is what it does not say."""

    org_id: Name
    trained: bool
    update: OwnUpdate | None
    validation: OwnValidation | None


class Predicate(Part, frozen=True):
    """The model card. `release` is the provenance that the block records, field by field."""

    block: BlockReference
    release: Provenance
    organization: Organization


class Statement(Part, frozen=True, rename={"type_": "_type", "predicate_type": "predicateType"}):
    """An in-toto statement about one released model."""

    type_: Literal["https://in-toto.io/Statement/v1"]
    subject: tuple[Subject]
    predicate_type: Literal["urn:flxdr:predicate:release-provenance:v1"]
    predicate: Predicate

    def encode(self) -> bytes:
        return msgspec.json.encode(self, order="deterministic")


def statement_of(header: bytes, organization: Organization, *, chain_id: str) -> Statement:
    """The statement about the release whose header this is.

    Raises:
        StatementInvalid: the block releases no model.
    """
    parsed = parse_header(header)
    if parsed.provenance is None or parsed.model_hash is None:
        raise StatementInvalid(f"block {parsed.height} releases no model", expected="a release block")
    return Statement(
        type_=STATEMENT_TYPE,
        subject=(Subject(_name(parsed.provenance), Digest(parsed.model_hash)),),
        predicate_type=PREDICATE_TYPE,
        predicate=Predicate(
            block=BlockReference(chain_id, parsed.height, block_hash(header)),
            release=parsed.provenance,
            organization=organization,
        ),
    )


def sign_statement(statement: Statement, key: PrivateKey) -> Envelope:
    """The statement in its envelope."""
    payload = statement.encode()
    return Envelope(IN_TOTO_TYPE, payload, [(key.public.key_id, sign(key, IN_TOTO_TYPE, payload))])


def read_statement(envelope: Envelope) -> Statement:
    """The statement in an envelope; nothing is verified.

    Raises:
        HeaderMalformed: the payload is no statement of this predicate, in its one spelling, or not signed once.
    """
    if envelope.payload_type != IN_TOTO_TYPE or len(envelope.signatures) != 1:
        raise HeaderMalformed(
            f"the envelope holds {len(envelope.signatures)} signature(s) over {envelope.payload_type}",
            expected=f"one over {IN_TOTO_TYPE}",
            field="payloadType",
        )
    try:
        statement = msgspec.json.decode(envelope.payload, type=Statement)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise HeaderMalformed(f"the payload is no provenance statement: {error}", field="payload") from error
    if statement.encode() != envelope.payload:
        raise HeaderMalformed("the payload is JSON in another spelling", expected="sorted keys", field="payload")
    return statement


def check_statement(envelope: Envelope, header: bytes, keys: Mapping[str, PublicKey], *, chain_id: str) -> Statement:
    """Check a statement against the verified block that it is about.

    Args:
        keys: those of its organisation that may sign it, by key id.

    Raises:
        HeaderMalformed: as `read_statement`.
        StatementInvalid: it says another thing than the block, or another key signed it.
        flxdr.core.keys.SignatureInvalid: the signature does not verify.
    """
    statement = read_statement(envelope)
    own = statement.predicate.organization
    expected = statement_of(header, own, chain_id=chain_id)
    for field, actual, right in (
        ("subject", statement.subject, expected.subject),
        ("predicate.block", statement.predicate.block, expected.predicate.block),
        ("predicate.release", statement.predicate.release, expected.predicate.release),
    ):
        if actual != right:
            raise StatementInvalid(f"{field} is {_text(actual)}", expected=_text(right), field=field)
    _check_own_part(own, expected.predicate.release)
    ((key_id, signature),) = envelope.signatures
    key = keys.get(key_id)
    if key is None:
        raise StatementInvalid(
            f"key {key_id} is none that may speak for {own.org_id} about this block",
            expected="a key of the organisation on the chain",
            field="keyid",
        )
    verify(key, signature, IN_TOTO_TYPE, envelope.payload)
    return statement


@dataclass(frozen=True)
class Verified:
    """A statement that an export bears out. `retired_height`: the block that took its key out of force, if one did."""

    statement: Statement
    key_id: str
    retired_height: int | None
    report: Report


def verify_statement(
    envelope: Envelope,
    records: Iterable[ChainRecord],
    *,
    genesis: str | None = None,
    tree: TreeWatch | None = None,
    now: datetime | None = None,
) -> Verified:
    """Verify a whole export, and the statement against it.

    A key of the organisation may sign that was in force after the block: statements are made later than the seal.

    Args:
        genesis, tree, now: as `verify_chain` takes them.

    Raises:
        HeaderMalformed, StatementInvalid, flxdr.core.keys.SignatureInvalid: as `check_statement`.
        StatementInvalid: the export does not verify, or ends before the block.
    """
    predicate = read_statement(envelope).predicate
    ring = _KeyRing(predicate.organization.org_id)
    found: list[bytes] = []
    current: list[ChainRecord] = []

    def watched() -> Iterator[ChainRecord]:
        for record in records:
            current[:] = [record]
            yield record

    def note(height: int) -> None:
        ring.add(parse_header(current[0].header))
        if height == predicate.block.height:
            found.append(current[0].header)

    verification = verify_chain(watched(), genesis=genesis, tree=tree, now=now, progress=note)
    bad, state = verification.report.first_bad, verification.state
    if bad is not None or state is None:
        raise StatementInvalid(f"the export does not verify: {bad}", expected="a valid chain", field="export")
    if not found:
        raise StatementInvalid(
            f"the export ends at height {state.height}", expected=f"block {predicate.block.height}", field="export"
        )
    statement = check_statement(
        envelope, found[0], ring.in_force_after(predicate.block.height), chain_id=state.chain_id
    )
    ((key_id, _),) = envelope.signatures
    return Verified(statement, key_id, ring.retired.get(key_id), verification.report)


class _KeyRing:
    """Every key that an organisation had on a chain, from its verified headers."""

    def __init__(self, org_id: str) -> None:
        self.retired: dict[str, int] = {}
        self._org_id = org_id
        self._keys: dict[str, PublicKey] = {}

    def add(self, header: Header) -> None:
        for action in header.governance.actions:
            match action:
                case Admit() if action.org_id == self._org_id:
                    self._keys[action.key.key_id] = read_key(action.key, "key")
                case Rotate() if action.statement.org_id == self._org_id:
                    self._keys[action.key.key_id] = read_key(action.key, "key")
                    self.retired[action.statement.retires] = header.height
                case Revoke() if action.org_id == self._org_id:
                    self.retired[action.key_id] = header.height

    def in_force_after(self, height: int) -> dict[str, PublicKey]:
        return {key_id: key for key_id, key in self._keys.items() if self.retired.get(key_id, height + 1) > height}


def _check_own_part(own: Organization, release: Provenance) -> None:
    trained = own.org_id in release.training_orgs
    if own.trained is not trained:
        raise StatementInvalid(
            f"{own.org_id} says that it {'trained' if own.trained else 'did not train'}",
            expected=f"the training organisations {', '.join(release.training_orgs)}",
            field="predicate.organization.trained",
        )
    update = own.update
    if update is None:
        return
    leaf = submission_leaf(own.org_id, update.sha256, update.samples)
    proof = [bytes.fromhex(node) for node in update.proof]
    root = bytes.fromhex(release.submissions_root)
    if not merkle.verify_inclusion(leaf, update.leaf_index, len(release.training_orgs), proof, root):
        raise StatementInvalid(
            "the organisation's update is not among those of the release",
            expected=f"a proof to the submissions root {release.submissions_root}",
            field="predicate.organization.update",
        )


def _name(provenance: Provenance) -> str:
    return f"{provenance.model_name}@v{provenance.model_version}"


def _text(part: object) -> str:
    return msgspec.json.encode(part).decode()
