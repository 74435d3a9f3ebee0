"""Block 0: with which coordinator's key and approval policy the chain begins; governance entries change both later."""

from __future__ import annotations

import msgspec
from django.conf import settings
from django.db import transaction

from flxdr.core import dsse
from flxdr.core.clock import Clock, format_timestamp
from flxdr.platform.audit import record_event
from flxdr.platform.identity import coordinator_key
from ledger.chain.approvals import SignedApproval
from ledger.chain.block import ZERO_HASH, Governance, Header
from ledger.chain.entries import COORDINATOR, Found, PolicyEntry
from ledger.chain.membership import key_entry
from ledger.models import Approval, Block
from ledger.services.appending import append_block
from ledger.services.locking import lock_chain


def ensure_genesis(*, clock: Clock) -> Block:
    """The genesis block; made from the settings the first time, only read ever after.

    Raises:
        flxdr.core.errors.Misconfigured: the coordinator's key cannot be read or made.
    """
    existing = Block.objects.filter(height=0).first()
    if existing is not None:
        return existing
    with transaction.atomic():
        lock_chain()
        existing = Block.objects.filter(height=0).first()
        return existing if existing is not None else _make_genesis(clock)


def _make_genesis(clock: Clock) -> Block:
    key = coordinator_key()
    fraction = settings.FLXDR.blockchain_quorum
    policy = msgspec.convert(
        {
            "method": settings.FLXDR.blockchain_verification_method,
            "numerator": fraction.numerator,
            "denominator": fraction.denominator,
            "minimum": settings.FLXDR.blockchain_quorum_min,
        },
        PolicyEntry,
    )
    action = Found(coordinator=key_entry(key.public), policy=policy, predecessor=settings.FLXDR.blockchain_predecessor)
    header = Header(
        v=1,
        type="genesis",
        chain_id=ZERO_HASH,
        height=0,
        timestamp=format_timestamp(clock.now()),
        prev_hash=ZERO_HASH,
        prev_cert=ZERO_HASH,
        model_hash=None,
        provenance=None,
        governance=Governance(rule="genesis", voters=(), threshold=0, actions=(action,)),
    ).encode()
    signature = dsse.sign(key, dsse.BLOCK_TYPE, header)
    approval = SignedApproval(COORDINATOR, key.public.key_id, signature)
    block = append_block(header=header, approvals=[approval], state=None)
    Approval.objects.create(
        block_hash=block.block_hash, org_id=COORDINATOR, key_id=approval.key_id, signature=signature
    )
    record_event(
        kind="block.sealed",
        actor=COORDINATOR,
        subject="block 0",
        data={"height": 0, "type": block.type, "block_hash": block.block_hash},
        stream=block.stream,
        clock=clock,
    )
    return block
