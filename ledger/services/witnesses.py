"""What the organisations' witnesses say of the log's checkpoints."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Count

from flxdr.core.clock import Clock
from flxdr.core.dsse import Envelope
from flxdr.platform.audit import record_event
from ledger import selectors
from ledger.chain import checkpoint as notes
from ledger.chain import cosignature as cosignatures
from ledger.chain.checkpoint import SignedCheckpoint
from ledger.errors import NotAWitness, NotCosigned
from ledger.models import Cosignature, WitnessKey
from ledger.services.checkpoints import checkpoint
from ledger.services.locking import lock_chain


@transaction.atomic
def record_cosignature(*, org_id: str, size: int, line: str, statement: Envelope, clock: Clock) -> SignedCheckpoint:
    """Take an organisation's cosignature; the checkpoint with all of them.

    The first one of an organisation and a size stands; another changes nothing.

    Args:
        line: the note's signature line.
        statement: names the witness's key, signed by the organisation's key.

    Raises:
        ledger.errors.SizeUnknown: the chain never had that many blocks.
        NotAWitness: the statement is about another organisation's witness.
        flxdr.core.errors.Malformed: the line or the statement cannot be read, or is about another chain.
        flxdr.core.keys.SignatureInvalid: the cosignature is not over the log's checkpoint of that size, or no key in
            force of the organisation vouches for the witness.
    """
    lock_chain()
    signed = checkpoint(size=size)
    witness = cosignatures.endorsed_witness(
        statement,
        {member: {key.key_id: key for key in keys} for member, keys in selectors.members().items()},
        chain_id=selectors.chain_id(),
    )
    if witness.org_id != org_id:
        raise NotAWitness(f"{org_id} is not the witness of {witness.org_id}", expected=f"a statement about {org_id}")
    cosignature = notes.parse_signature(line.removesuffix("\n"))
    time = cosignatures.verify(signed.text, cosignature, witness.name, witness.key)
    if not Cosignature.objects.filter(size=size, org_id=org_id).exists():
        key, _ = WitnessKey.objects.get_or_create(
            org_id=org_id,
            verifier_key=witness.verifier_key,
            key_id=witness.vouched_by,
            defaults={"statement": statement.payload, "signature": witness.voucher},
        )
        Cosignature.objects.create(size=size, org_id=org_id, witness=key, signature=cosignature.signature)
        record_event(
            kind="checkpoint.cosigned",
            actor=org_id,
            subject=f"checkpoint {size}",
            data={"size": size, "root_hash": signed.checkpoint.root.hex(), "time": time},
            clock=clock,
        )
    return checkpoint(size=size)


def newest_cosigned_size(witnesses: int) -> int:
    """The newest size of which so many organisations cosigned the checkpoint.

    Raises:
        NotCosigned: there is none.
    """
    sizes = Cosignature.objects.order_by().values("size").annotate(count=Count("org_id")).filter(count__gte=witnesses)
    newest = sizes.order_by("-size").values_list("size", flat=True).first()
    if newest is None:
        raise NotCosigned(f"no checkpoint has the cosignatures of {witnesses} organisation(s)", expected="fewer")
    return int(newest)
