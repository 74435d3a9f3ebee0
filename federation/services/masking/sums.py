"""From masked updates to the mean of each group: added up, unmasked, scaled to the model's fixed point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import structlog
from django.db import transaction

from federation.errors import SumOutOfRange
from federation.masking import scaling
from federation.masking.steps import Step
from federation.models import MaskedMean
from federation.selectors.masking import Collection
from federation.services.aggregation.claims import RoundClaim, Superseded
from federation.services.transitions import COORDINATOR
from flxdr.core import canonical
from flxdr.core.clock import Clock
from flxdr.core.errors import FlxdrError
from flxdr.platform.audit import record_event
from flxdr.platform.storage.blobs import blobs
from models_ml import codec
from models_ml.codec import Int32, ModelSchema
from privacy.errors import UnmaskFailed
from privacy.secagg import masks, ring, server
from privacy.secagg.group import Group
from privacy.secagg.shares import UnmaskShares

_log = structlog.get_logger("flxdr.masking")


def unmask(claim: RoundClaim, schema: ModelSchema) -> None:
    """Compute and store the groups' means, unless they are there.

    A bucket that cannot be unmasked is left out as long as enough others remain.

    Raises:
        UnmaskFailed: too many of the shares are wrong.
        SumOutOfRange: some organisation masked values beyond the round's bound.
        BlobMissing, BlobDamaged: a masked update is not what arrived.
        Superseded: the claim is lost.
    """
    if claim.training_round.masked_means.exists():
        return
    collection = Collection.of(claim.training_round)
    means: list[MaskedMean] = []
    lost: list[FlxdrError] = []
    for index, group in enumerate(collection.groups(Step.UNMASK)):
        survivors = collection.members(group, Step.MASKED_INPUT)
        try:
            mean = codec.unflatten(mean_of(collection, group, schema, claim.renew), schema)
        except (UnmaskFailed, SumOutOfRange) as error:
            lost.append(error)
            continue
        means.append(
            MaskedMean(
                training_round=claim.training_round,
                index=index,
                organizations=sorted(survivors),
                weight=sum(collection.roster.weights[org_id] for org_id in survivors),
                update_digest=blobs().put(codec.encode(mean)),
            )
        )
    if lost and len(means) < max(1, collection.config.masking_buckets):
        raise lost[0]
    with transaction.atomic():
        if not claim.held().select_for_update().exists():
            raise Superseded
        MaskedMean.objects.bulk_create(means)
        for each in lost:
            _record(collection, "round.bucket_lost", {"code": each.code, "reason": each.detail}, claim.clock)


def _record(collection: Collection, kind: str, data: Mapping[str, Any], clock: Clock) -> None:
    record_event(kind=kind, actor=COORDINATOR, subject=collection.config.round_id, data=data, clock=clock)


def mean_of(collection: Collection, group: Group, schema: ModelSchema, renew: Callable[[], None]) -> Int32:
    """The weighted mean update of a group's survivors, D int32 in units of 2^-24."""
    config, weights = collection.config, collection.roster.weights
    survivors = collection.members(group, Step.MASKED_INPUT)
    bound = scaling.bound(config)
    bits = ring.word_bits(bound, config.n_max)
    total = _added(collection, survivors, schema.size, bits, renew)
    responses = collection.messages(Step.UNMASK, collection.members(group, Step.UNMASK))
    remaining = server.remaining_seeds(
        group,
        collection.members(group, Step.SHARES),
        survivors,
        {org_id: UnmaskShares.from_json(canonical.decode(document)) for org_id, document in responses.items()},
    )
    for wrong in remaining.wrong_shares:  # either of the two is at fault: a person has to look
        _log.warning("masking.wrong_share", round_id=config.round_id, sender=wrong.sender, owner=wrong.owner)
    masks.subtract(total, remaining.seeds)
    values = ring.from_ring(total)
    if values.size and max(int(values.max()), -int(values.min())) > len(survivors) * bound:
        raise SumOutOfRange(
            f"the sum of {', '.join(sorted(survivors))} exceeds what {len(survivors)} updates can add up to",
            expected=f"values of at most {config.max_abs} in every update",
            action="Ask these organizations which agents they run; no single update can be looked at.",
        )
    return scaling.mean(values, sum(weights[org_id] for org_id in survivors), config.frac_bits)


def _added(
    collection: Collection, survivors: frozenset[str], size: int, bits: int, renew: Callable[[], None]
) -> masks.Words:
    total = ring.to_ring(np.zeros(size, dtype=np.int64), bits)
    rows = collection.training_round.submissions.filter(organization__org_id__in=survivors)
    for digest in rows.values_list("wire_digest", flat=True):
        total += ring.from_bytes(blobs().verify(digest).read_bytes(), size, bits)
        renew()
    return total
