"""What organisations' agents do after a release was sealed: attest it, cosign the checkpoint, approve late."""

from __future__ import annotations

from collections.abc import Iterable

from flxdr.core.clock import Clock
from flxdr.core.dsse import Envelope
from ledger import selectors
from ledger.chain.statement import Organization, OwnValidation, sign_statement, statement_of
from ledger.models import Block
from ledger.services import checkpoints
from ledger.services.statements import record_statement
from ledger.services.witnesses import record_cosignature
from tests.ledger.checkpoints import cosigning
from tests.support.federation import SimulatedOrganization


def attest(block: Block, organizations: Iterable[SimulatedOrganization], *, clock: Clock) -> None:
    """Each says that it trained, and how the release did on its own records."""
    for number, organization in enumerate(organizations):
        assert organization.key is not None
        own = Organization(
            org_id=organization.org_id,
            trained=True,
            update=None,
            validation=OwnValidation("macro_binary_f1", 851_000, 879_000 - 6_000 * number),
        )
        statement = statement_of(bytes(block.header), own, chain_id=selectors.chain_id())
        envelope = sign_statement(statement, organization.key)
        record_statement(height=block.height, org_id=organization.org_id, envelope=envelope, clock=clock)


def cosign(organizations: Iterable[SimulatedOrganization], *, clock: Clock) -> None:
    """Each one's witness cosigns the checkpoint of the whole chain."""
    size = selectors.head().height + 1
    text = checkpoints.checkpoint(size=size).text
    for organization in organizations:
        assert organization.key is not None
        body = cosigning(
            selectors.chain_id(),
            organization.org_id,
            text,
            org_key=organization.key,
            time=int(clock.now().timestamp()),
        )
        record_cosignature(
            org_id=organization.org_id,
            size=size,
            line=body["cosignature"],
            statement=Envelope.from_json(body["witness_key_statement"]),
            clock=clock,
        )
