"""Taking a detection that an organisation shares: signed by it, free of identifiers, once, and not too often."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

import ledger.selectors
from federation.detections.facts import Facts, Stated
from federation.errors import (
    DetectionConflict,
    DetectionInvalid,
    OrganizationMissing,
    StatementMismatch,
    TooManyDetections,
    UnknownKey,
)
from federation.models import Organization, SharedDetection
from federation.services.masking.messages import SignedDocument
from flxdr.core import dsse
from flxdr.core.clock import Clock
from flxdr.platform.audit import record_event
from ledger.errors import BlockMissing

HOUR = timedelta(hours=1)
LARGEST_CLOCK_ERROR = timedelta(days=1)
"""How far in the future a flow may lie: sensors' clocks are wrong sometimes."""


@transaction.atomic
def share_detection(*, org_id: str, signed: SignedDocument, clock: Clock) -> tuple[SharedDetection, bool]:
    """Keep an organisation's statement about a detection.

    Returns:
        The detection, and whether this call kept it: the same statement again changes nothing.

    Raises:
        StatementMalformed, DetectionInvalid, DetectionHoldsIdentifiers: what is stated, or how.
        StatementMismatch: it is another organisation's, or of another chain.
        UnknownKey: no key of the organisation that is in force on the chain signed it.
        flxdr.core.keys.SignatureInvalid: the signature does not verify.
        DetectionConflict: the organisation said another thing under the same id before.
        TooManyDetections: the organisation shared `FL_DETECTIONS_PER_HOUR` within the last hour.
    """
    now = clock.now()
    # The row is locked while its detections are counted: concurrent requests cannot pass the limit together.
    organization = Organization.objects.select_for_update().filter(org_id=org_id).first()
    if organization is None:
        raise OrganizationMissing(f"no organization {org_id[:80]!r}")
    stated = Stated.parse(signed.statement)
    _require_own(stated, org_id)
    _require_signature(org_id, signed)
    known = SharedDetection.objects.filter(organization=organization, alert_id=stated.alert_id).first()
    if known is not None:
        if bytes(known.statement) != signed.statement:
            raise DetectionConflict(
                f"{org_id} shared other facts as {stated.alert_id} before", expected="the same statement, or another id"
            )
        return known, False
    _require_borne_out(stated.facts, now)
    _require_within_limit(organization, now)
    detection = _keep(organization, stated, signed, now)
    record_event(
        kind="detection.shared",
        actor=org_id,
        subject=f"detection {stated.alert_id}",
        data={
            "family": detection.family,
            "technique": detection.technique,
            "score_ppm": detection.score_ppm,
            "model_hash": detection.model_hash,
        },
        clock=clock,
    )
    return detection, True


def _keep(organization: Organization, stated: Stated, signed: SignedDocument, now: datetime) -> SharedDetection:
    facts = stated.facts
    first, last = facts.seen
    return SharedDetection.objects.create(
        organization=organization,
        alert_id=stated.alert_id,
        family=facts.family,
        technique=facts.technique,
        score_ppm=facts.score_ppm,
        flows=facts.flows,
        first_seen=first,
        last_seen=last,
        model_name=facts.model_name,
        model_hash=facts.model_hash,
        block_height=facts.block_height,
        statement=signed.statement,
        signature=signed.signature,
        key_id=signed.key_id,
        received_at=now,
    )


def _require_own(stated: Stated, org_id: str) -> None:
    if stated.org != org_id:
        raise StatementMismatch(f"the detection is of {stated.org[:80]!r}", expected=org_id)
    chain_id = ledger.selectors.chain_id()
    if stated.chain_id != chain_id:
        raise StatementMismatch(f"the detection is for the chain {stated.chain_id[:80]!r}", expected=chain_id)


def _require_signature(org_id: str, signed: SignedDocument) -> None:
    keys = {key.key_id: key for key in ledger.selectors.members().get(org_id, [])}
    key = keys.get(signed.key_id)
    if key is None:
        raise UnknownKey(
            f"{signed.key_id[:80]!r} is no key of {org_id} that is in force on the chain",
            expected="the key id of a member's admitted key",
            action="Wait until the members have admitted the key; organizations without a key cannot share.",
        )
    dsse.verify(key, signed.signature, dsse.DETECTION_TYPE, signed.statement)


def _require_borne_out(facts: Facts, now: datetime) -> None:
    """That the named block, if one is named, released the named model; and that the flows were seen by now."""
    if facts.seen[1] > now + LARGEST_CLOCK_ERROR:
        raise DetectionInvalid("last_seen lies in the future", field="last_seen")
    if facts.block_height is None:
        return
    try:
        block = ledger.selectors.block_at(facts.block_height)
    except BlockMissing as error:
        raise DetectionInvalid(error.detail, expected=error.expected, field="block_height") from error
    if (block.model_name, block.model_hash) != (facts.model_name, facts.model_hash):
        raise DetectionInvalid(
            f"block {facts.block_height} did not release {facts.model_name} {facts.model_hash[:16]}",
            expected="the block that released the model, or null for a model that no block vouches for",
            field="block_height",
        )


def _require_within_limit(organization: Organization, now: datetime) -> None:
    limit = settings.FLXDR.detections_per_hour
    recent = SharedDetection.objects.filter(organization=organization, received_at__gt=now - HOUR)
    oldest_that_counts = recent.order_by("-received_at")[limit - 1 : limit].values_list("received_at", flat=True)
    for moment in oldest_that_counts:
        wait = max(1, round((moment + HOUR - now).total_seconds()))
        raise TooManyDetections(
            f"{organization} shared {limit} detections within the last hour",
            expected=f"at most {limit} within an hour",
            action=f"Try again in {wait} seconds; share what matters most first.",
            retry_after=wait,
        )
