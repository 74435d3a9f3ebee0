"""One block looked at now: is it the bytes that it claims to be, in its place, and whose signatures over it verify.

Less than a verification of the chain: that the keys are those of this height is taken from the index that sealing
governance blocks wrote, and which blocks lie below is not asked. What is found here is found at once, though, and for
each signature by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from flxdr.core.clock import format_timestamp
from flxdr.core.dsse import BLOCK_TYPE, IN_TOTO_TYPE, Envelope, verify
from flxdr.core.errors import FlxdrError
from flxdr.core.keys import KeyInvalid, PublicKey
from ledger import selectors
from ledger.chain import merkle, statement
from ledger.chain.approvals import SignedApproval, certificate_hash
from ledger.chain.block import ZERO_HASH, Header, block_hash, index_columns, parse_header
from ledger.chain.entries import COORDINATOR, Found, KeyEntry
from ledger.models import Block, ReleaseStatement, SignerKey
from ledger.selectors.explorer import keys_by_id
from ledger.services.checkpoints import Inclusion, prove_inclusion

_PPM = 1_000_000


@dataclass(frozen=True)
class Check:
    """One thing that was compared; `code` is the one by which a verification of the chain calls its failure."""

    code: str
    field: str
    holds: bool
    expected: str = ""
    actual: str = ""


@dataclass(frozen=True)
class Signature:
    """One signature over the block, and whether it verifies now; `code` and `detail` say why it does not."""

    approval: SignedApproval
    algorithm: str
    is_coordinator: bool
    code: str = ""
    detail: str = ""

    @property
    def holds(self) -> bool:
        return not self.code


@dataclass(frozen=True)
class Attestation:
    """What an organisation attests of the release, and whether that agrees with the block and verifies now."""

    row: ReleaseStatement
    statement: statement.Statement | None
    code: str = ""
    detail: str = ""

    @property
    def before(self) -> float | None:
        """The score of the release's parent on the organisation's own records, where it says so."""
        own = self.statement.predicate.organization.validation if self.statement is not None else None
        return None if own is None or own.before_ppm is None else own.before_ppm / _PPM

    @property
    def after(self) -> float | None:
        """The release's score on them."""
        own = self.statement.predicate.organization.validation if self.statement is not None else None
        return None if own is None else own.after_ppm / _PPM


@dataclass(frozen=True)
class Inspection:
    """Everything that was looked at. `header` is None where the stored bytes are no header."""

    block: Block
    header: Header | None
    checks: Sequence[Check]
    signatures: Sequence[Signature]
    late: Sequence[Signature]
    attestations: Sequence[Attestation]
    inclusion: Inclusion | None

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks) and all(each.holds for each in self.signatures)

    @property
    def approving(self) -> int:
        """Organisations whose approval verifies and counts."""
        return len({each.approval.org_id for each in self.signatures if each.holds and not each.is_coordinator})


def inspect_block(*, height: int) -> Inspection:
    """Look at the stored block at a height.

    Raises:
        ledger.errors.BlockMissing: no such height.
    """
    block = selectors.block_at(height)
    data = bytes(block.header)
    checks: list[Check] = []
    header = _read(data, checks)
    late_rows = selectors.late_approvals_of([block.block_hash])[block.block_hash]
    approvals = sorted(selectors.approvals_of([block.block_hash])[block.block_hash])
    statements = selectors.statements_about(height)
    signers = [each.key_id for each in (*approvals, *late_rows)] + [each.key_id for each in statements]
    keys = _Keys(header, keys_by_id(signers))
    signatures = [keys.judge(each, data, height) for each in approvals]
    if header is not None:
        checks += _places(block, header, data)
        checks += _quorum(header, signatures)
    inclusion = _inclusion(data, height, checks)
    return Inspection(
        block=block,
        header=header,
        checks=checks,
        signatures=signatures,
        late=[keys.judge(each, data, height) for each in sorted(late_rows)],
        attestations=[keys.judge_statement(each, data, height) for each in statements],
        inclusion=inclusion,
    )


def _read(data: bytes, checks: list[Check]) -> Header | None:
    try:
        header = parse_header(data)
    except FlxdrError as error:
        field = str(error.fields.get("field", error.fields.get("path", "$")))
        checks.append(Check(error.code, field, holds=False, expected=error.expected or "", actual=error.detail))
        return None
    checks.append(Check("not_canonical", "header", holds=True))
    return header


def _places(block: Block, header: Header, data: bytes) -> Iterator[Check]:
    """The columns against the bytes, the links against the block before."""
    for name, expected in index_columns(header, block_hash(data)).items():
        stored = getattr(block, name)
        actual = format_timestamp(stored) if name == "timestamp" else stored
        if actual != expected:
            yield Check("column_mismatch", name, holds=False, expected=str(expected), actual=str(actual))
            break
    else:
        yield Check("column_mismatch", "block_hash", holds=True)
    prev_hash = prev_cert = ZERO_HASH
    if header.height > 0:
        before = Block.objects.filter(height=block.height - 1).first()
        if before is None:
            yield Check("prev_hash_mismatch", "prev_hash", holds=False, expected=header.prev_hash, actual="no block")
            return
        prev_hash = block_hash(bytes(before.header))
        prev_cert = certificate_hash(selectors.approvals_of([before.block_hash])[before.block_hash])
    yield _same("prev_hash_mismatch", "prev_hash", expected=prev_hash, actual=header.prev_hash)
    yield _same("prev_cert_mismatch", "prev_cert", expected=prev_cert, actual=header.prev_cert)


def _same(code: str, field: str, *, expected: str, actual: str) -> Check:
    return Check(code, field, holds=expected == actual, expected=expected, actual=actual)


def _quorum(header: Header, signatures: Sequence[Signature]) -> Iterator[Check]:
    signers = {each.approval.org_id for each in signatures if each.holds}
    yield Check(
        "coordinator_missing", "approvals", holds=COORDINATOR in signers, expected=COORDINATOR, actual="no valid one"
    )
    approving, needed = len(signers & set(header.governance.voters)), header.governance.threshold
    yield Check("quorum_not_met", "approvals", holds=approving >= needed, expected=str(needed), actual=str(approving))


def _inclusion(data: bytes, height: int, checks: list[Check]) -> Inclusion | None:
    try:
        found = prove_inclusion(height=height)
    except FlxdrError as error:  # the tree lacks nodes
        checks.append(Check(error.code, "tree", holds=False, expected="a stored tree", actual=error.detail))
        return None
    holds = merkle.verify_inclusion(data, height, found.size, found.proof, found.root)
    leaf = merkle.leaf_hash(data).hex()
    checks.append(Check("tree_mismatch", "tree", holds=holds, expected="a proof to the root", actual=f"leaf {leaf}"))
    return found if holds else None


class _Keys:
    """The keys by which a block's signatures are judged."""

    def __init__(self, header: Header | None, rows: Mapping[str, SignerKey]) -> None:
        self._header = header
        self._rows = rows

    def judge(self, approval: SignedApproval, data: bytes, height: int) -> Signature:
        """Whether this signer may sign the block at that height, and did."""
        is_coordinator = approval.org_id == COORDINATOR
        row = self._rows.get(approval.key_id)
        algorithm = row.algorithm if row is not None else ""

        def refused(code: str, detail: str) -> Signature:
            return Signature(approval, algorithm, is_coordinator, code, detail)

        voters = self._header.governance.voters if self._header is not None else ()
        if not is_coordinator and approval.org_id not in voters:
            return refused("approval_not_voter", f"{approval.org_id} has no vote on this block")
        if row is None or row.org_id != approval.org_id or not self._is_in_force(row, height):
            return refused("approval_key", f"no key of {approval.org_id} at this height")
        failure = _failure(lambda: verify(_public(row), approval.signature, BLOCK_TYPE, data))
        return refused("approval_signature", failure) if failure else Signature(approval, algorithm, is_coordinator)

    def judge_statement(self, row: ReleaseStatement, data: bytes, height: int) -> Attestation:
        """Whether an attestation agrees with the block; a key may sign it that came into force after the seal."""
        envelope = Envelope(IN_TOTO_TYPE, bytes(row.payload), [(row.key_id, bytes(row.signature))])
        key = self._rows.get(row.key_id)
        may_sign = (
            key is not None and key.org_id == row.org_id and (key.revoked_height is None or key.revoked_height > height)
        )
        try:
            own = {row.key_id: _public(key)} if may_sign and key is not None else {}
            checked = statement.check_statement(envelope, data, own, chain_id=selectors.chain_id())
        except FlxdrError as error:
            return Attestation(row, None, error.code, error.detail)
        return Attestation(row, checked)

    def _is_in_force(self, row: SignerKey, height: int) -> bool:
        if height == 0:  # genesis is signed with the key that it declares
            return self._founding_key() == row.key_id
        return row.admitted_height < height and (row.revoked_height is None or row.revoked_height >= height)

    def _founding_key(self) -> str:
        entries: list[KeyEntry] = []
        if self._header is not None:
            entries = [each.coordinator for each in self._header.governance.actions if isinstance(each, Found)]
        return entries[0].key_id if entries else ""


def _public(row: SignerKey) -> PublicKey:
    """The key itself, and not another one that somebody wrote beside its id.

    Raises:
        KeyInvalid: it is another one, or none.
    """
    key = PublicKey.from_spki(bytes(row.spki))
    if key.key_id != row.key_id:
        raise KeyInvalid(f"the stored key is {key.key_id}", expected=row.key_id)
    return key


def _failure(check: Callable[[], object]) -> str:
    try:
        check()
    except FlxdrError as error:
        return error.detail
    return ""
