"""What organisations attest of releases, taken after the chain bears it out."""

from __future__ import annotations

from django.db import transaction

from flxdr.core.clock import Clock
from flxdr.core.dsse import Envelope
from flxdr.platform.audit import record_event
from ledger import selectors
from ledger.chain.statement import check_statement, read_statement
from ledger.errors import NotTheSigner, StatementConflict
from ledger.models import ReleaseStatement
from ledger.services.locking import lock_chain


@transaction.atomic
def record_statement(*, height: int, org_id: str, envelope: Envelope, clock: Clock) -> ReleaseStatement:
    """Keep an organisation's provenance statement about the release at `height`; the same again changes nothing.

    Raises:
        ledger.errors.BlockMissing: no such height.
        NotTheSigner: the statement is another organisation's.
        StatementConflict: the organisation said another thing of this release before.
        ledger.chain.fields.HeaderMalformed: the envelope holds no statement.
        ledger.chain.statement.StatementInvalid: the block is no release, the statement says another thing than the
            block, or no key in force of the organisation signed it.
        flxdr.core.keys.SignatureInvalid: the signature does not verify.
    """
    lock_chain()
    block = selectors.block_at(height)
    signer = read_statement(envelope).predicate.organization.org_id
    if signer != org_id:
        raise NotTheSigner(f"the statement is {signer}'s", expected=f"one by {org_id}")
    keys = {key.key_id: key for key in selectors.members().get(org_id, [])}
    check_statement(envelope, bytes(block.header), keys, chain_id=selectors.chain_id())
    kept = ReleaseStatement.objects.filter(height=height, org_id=org_id).first()
    if kept is not None:
        if bytes(kept.payload) != envelope.payload:
            raise StatementConflict(
                f"{org_id} attested another thing of block {height} before", expected="one statement per release"
            )
        return kept
    ((key_id, signature),) = envelope.signatures
    record_event(
        kind="release.attested",
        actor=org_id,
        subject=f"block {height}",
        data={"key_id": key_id, "model_hash": block.model_hash},
        stream=block.stream,
        clock=clock,
    )
    return ReleaseStatement.objects.create(
        height=height, org_id=org_id, key_id=key_id, payload=envelope.payload, signature=signature
    )
