"""What follows in the federation when a block changed keys or withdrew a release."""

from __future__ import annotations

import ledger.selectors
from federation.models import ModelVersion, Organization, TrainingRound
from federation.round_config import RoundConfig
from federation.services import rounds
from federation.services.transitions import COORDINATOR
from flxdr.core.clock import Clock
from flxdr.platform.audit import record_event
from ledger.chain.entries import Action, Admit, Revoke, Rotate, WithdrawRelease
from ledger.models import Block

PARENT_WITHDRAWN = "parent_withdrawn"


def follow(entry: Action, *, block: Block, clock: Clock) -> None:
    """Follow a sealed entry, in the transaction that seals its block.

    An admitted organisation takes part from the next round on. A rotated key stops here at the block's height. An
    organisation without a key on the chain is shut out.
    """
    match entry:
        case Admit():
            _record("organization.admitted", entry.org_id, block, clock)
        case Rotate():
            _follow_keys(entry.statement.org_id, block, clock)
        case Revoke():
            _follow_keys(entry.org_id, block, clock)
        case WithdrawRelease():
            _withdraw(entry, block, clock)


def _follow_keys(org_id: str, block: Block, clock: Clock) -> None:
    organization = Organization.objects.select_for_update().filter(org_id=org_id).first()
    if organization is None:
        return
    keys = ledger.selectors.members().get(org_id, [])
    if not keys:
        organization.status = Organization.Status.SUSPENDED
        organization.key_status = Organization.KeyStatus.REVOKED
        organization.save(update_fields=["status", "key_status"])
        _record("organization.left", org_id, block, clock)
    elif organization.public_key is None or bytes(organization.public_key) not in {key.spki for key in keys}:
        organization.public_key = keys[-1].spki
        organization.key_status = Organization.KeyStatus.PROVEN
        organization.key_proof = None
        organization.save(update_fields=["public_key", "key_status", "key_proof"])
        _record("organization.key_replaced", org_id, block, clock, key_id=keys[-1].key_id)


def _withdraw(entry: WithdrawRelease, block: Block, clock: Clock) -> None:
    released = ModelVersion.objects.filter(model_name=entry.model_name, status=ModelVersion.Status.RELEASED)
    bad = released.filter(version__gte=entry.model_version)
    withdrawn = dict(bad.values_list("version", "model_hash"))
    bad.update(status=ModelVersion.Status.WITHDRAWN)
    # A round that changed nothing released its parent's bytes again: those stand as long as one release of them does.
    gone = set(withdrawn.values()) - set(released.values_list("model_hash", flat=True))
    for model_hash in withdrawn.values():
        _record("model.withdrawn", model_hash, block, clock, model=entry.model_name, reason=entry.reason)
    for training_round in TrainingRound.objects.filter(status__in=TrainingRound.OPEN):
        config = RoundConfig.decode(bytes(training_round.config))
        is_child = config.model_name == entry.model_name and config.parent_version in withdrawn
        if is_child or not gone.isdisjoint(config.local.basis.values()):
            rounds.stop_round(
                round_id=config.round_id,
                code=PARENT_WITHDRAWN,
                reason=f"block {block.height} withdrew {entry.model_name} v{entry.model_version}: {entry.reason}",
                actor=COORDINATOR,
                clock=clock,
            )


def _record(kind: str, subject: str, block: Block, clock: Clock, **data: str) -> None:
    record_event(
        kind=kind, actor=COORDINATOR, subject=subject, data={"block_height": block.height, **data}, clock=clock
    )
