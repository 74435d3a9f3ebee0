"""What became of a release after it was sealed: its withdrawal, and how members found it on their own records."""

from __future__ import annotations

from dataclasses import dataclass

from flxdr.core.dsse import IN_TOTO_TYPE, Envelope
from ledger.chain.block import parse_header
from ledger.chain.entries import WithdrawRelease
from ledger.chain.statement import read_statement
from ledger.models import Block, GovernanceEntry, ReleaseStatement

MOST_STATEMENTS = 100
PPM = 1_000_000


@dataclass(frozen=True)
class Withdrawal:
    """The block that withdrew a release, with the first version that it withdrew and the reason."""

    height: int
    model_version: int
    reason: str


@dataclass(frozen=True)
class Attested:
    """What one member says of a release: its score on the member's own records, and the parent's (None: no parent)."""

    org_id: str
    trained: bool
    score: str
    before: float | None
    after: float | None


def withdrawal_of(model_name: str, model_version: int, height: int) -> Withdrawal | None:
    """The withdrawal of a release that was sealed at `height`: the first later one of it or of a version before it."""
    entry = (
        GovernanceEntry.objects.filter(
            action="withdraw_release", model_name=model_name, model_version__lte=model_version, height__gt=height
        )
        .order_by("height")
        .first()
    )
    if entry is None:
        return None
    header = parse_header(bytes(Block.objects.values_list("header", flat=True).get(height=entry.height)))
    said = next(action for action in header.governance.actions if isinstance(action, WithdrawRelease))
    return Withdrawal(entry.height, said.model_version, said.reason)


def attested(height: int) -> list[Attested]:
    """What members attest of the release at a height, by name; they were verified when they arrived."""
    rows = ReleaseStatement.objects.filter(height=height).order_by("org_id")[:MOST_STATEMENTS]
    return [_attested(row) for row in rows]


def _attested(row: ReleaseStatement) -> Attested:
    envelope = Envelope(IN_TOTO_TYPE, bytes(row.payload), [(row.key_id, bytes(row.signature))])
    said = read_statement(envelope).predicate.organization
    if said.validation is None:
        return Attested(row.org_id, said.trained, "", None, None)
    before = said.validation.before_ppm
    return Attested(
        row.org_id,
        said.trained,
        said.validation.score,
        None if before is None else before / PPM,
        said.validation.after_ppm / PPM,
    )
