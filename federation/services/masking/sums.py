"""From masked updates to the mean of each group: added up, unmasked, scaled to the model's fixed point.

The sums of a Paillier round are encrypted. An organisation that holds the key opens them between the two halves of the
work, for which the round goes back to its collection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import structlog
from django.db import transaction

from federation.errors import SumOutOfRange
from federation.masking import ciphertexts, scaling
from federation.masking.ciphertexts import OpenedSums
from federation.masking.steps import Step
from federation.models import MaskedMean
from federation.selectors.masking import Collection
from federation.services.aggregation.claims import RoundClaim, Superseded
from federation.services.transitions import COORDINATOR, Status, move
from flxdr.core import canonical
from flxdr.core.clock import Clock
from flxdr.core.errors import FlxdrError
from flxdr.platform.audit import record_event
from flxdr.platform.storage.blobs import blobs
from models_ml import codec
from models_ml.codec import ModelSchema
from models_ml.fixed_point import Int64
from privacy.errors import UnmaskFailed
from privacy.paillier.errors import PlaintextInvalid
from privacy.secagg import masks, ring, server
from privacy.secagg.group import Group
from privacy.secagg.masks import SignedSeed
from privacy.secagg.shares import UnmaskShares

_log = structlog.get_logger("flxdr.masking")
Renew = Callable[[], None]


@dataclass(frozen=True)
class GroupSum:
    """A group whose masks are known: whose updates are in its sum, and what is left in it of their masks."""

    group: Group
    survivors: frozenset[str]
    seeds: list[SignedSeed]


def unmask(claim: RoundClaim, schema: ModelSchema) -> bool:
    """Compute and store the groups' means, unless they are there.

    A bucket that cannot be unmasked is left out as long as enough others remain.

    Returns:
        Whether the means are there; if not, the round waits for its encrypted sums to be opened.

    Raises:
        UnmaskFailed: too many of the shares are wrong.
        SumOutOfRange, PlaintextInvalid: some organisation masked values beyond the round's bound.
        BlobMissing, BlobDamaged: a masked update is not what arrived.
        Superseded: the claim is lost.
    """
    training_round = claim.training_round
    if training_round.masked_means.exists():
        return True
    collection = Collection.of(training_round)
    lost: list[FlxdrError] = []
    known = list(_group_sums(collection, lost))
    if collection.config.modulus_bits and not training_round.opening_digest:
        _require_enough(collection, known, lost)
        _ask_to_open(claim, collection, known, schema)
        return False
    read = _opened(collection, schema) if collection.config.modulus_bits else _added(collection, schema, claim.renew)
    means = []
    for place, each in enumerate(known):
        try:
            means.append(_mean(collection, place, each, read(place, each), schema))
        except (SumOutOfRange, PlaintextInvalid) as error:
            lost.append(error)
    _require_enough(collection, means, lost)
    with transaction.atomic():
        if not claim.held().select_for_update().exists():
            raise Superseded
        MaskedMean.objects.bulk_create(means)
        for problem in lost:
            _record(collection, "round.bucket_lost", {"code": problem.code, "reason": problem.detail}, claim.clock)
    return True


def _group_sums(collection: Collection, lost: list[FlxdrError]) -> Iterator[GroupSum]:
    """The groups whose masks can be found; why those of others cannot goes to `lost`."""
    for group in collection.groups(Step.UNMASK):
        survivors = collection.members(group, Step.MASKED_INPUT)
        responses = collection.messages(Step.UNMASK, collection.members(group, Step.UNMASK))
        try:
            remaining = server.remaining_seeds(
                group,
                collection.members(group, Step.SHARES),
                survivors,
                {sender: UnmaskShares.from_json(canonical.decode(answer)) for sender, answer in responses.items()},
            )
        except UnmaskFailed as error:
            lost.append(error)
            continue
        for wrong in remaining.wrong_shares:  # either of the two is at fault: a person has to look
            _log.warning(
                "masking.wrong_share", round_id=collection.config.round_id, sender=wrong.sender, owner=wrong.owner
            )
        yield GroupSum(group, survivors, remaining.seeds)


def _require_enough(collection: Collection, found: list[Any], lost: list[FlxdrError]) -> None:
    if lost and len(found) < max(1, collection.config.masking_buckets):
        raise lost[0]


def _added(collection: Collection, schema: ModelSchema, renew: Renew) -> Callable[[int, GroupSum], Int64]:
    """Reads the sum of a group of a secure aggregation."""
    config = collection.config
    bits = ring.word_bits(scaling.bound(config), config.n_max)

    def read(_place: int, each: GroupSum) -> Int64:
        total = ring.to_ring(np.zeros(schema.size, dtype=np.int64), bits)
        for body in _bodies(collection, each, renew):
            total += ring.from_bytes(body, schema.size, bits)
        masks.subtract(total, each.seeds)
        return ring.from_ring(total)

    return read


def _opened(collection: Collection, schema: ModelSchema) -> Callable[[int, GroupSum], Int64]:
    """Reads the sum of a group of a Paillier round, whose openings were checked when they arrived and are again."""
    training_round, store = collection.training_round, blobs()
    opened = OpenedSums.check(
        collection.public_key(),
        ciphertexts.layout(collection.config, schema.size),
        store.verify(training_round.sum_digest).read_bytes(),
        store.verify(training_round.opening_digest).read_bytes(),
    )
    return lambda place, each: opened.values(place, len(each.survivors))


def _mean(collection: Collection, place: int, each: GroupSum, values: Int64, schema: ModelSchema) -> MaskedMean:
    bound = len(each.survivors) * scaling.bound(collection.config)
    if values.size and max(int(values.max()), -int(values.min())) > bound:
        raise SumOutOfRange(
            f"the sum of {', '.join(sorted(each.survivors))} exceeds what {len(each.survivors)} updates can add up to",
            expected=f"values of at most {collection.config.max_abs} in every update",
            action="Ask these organizations which agents they run; no single update can be looked at.",
        )
    weight = sum(collection.roster.weights[org_id] for org_id in each.survivors)
    mean = scaling.mean(values, weight, collection.config.frac_bits)
    return MaskedMean(
        training_round=collection.training_round,
        index=place,
        organizations=sorted(each.survivors),
        weight=weight,
        update_digest=blobs().put(codec.encode(codec.unflatten(mean, schema))),
    )


def _ask_to_open(claim: RoundClaim, collection: Collection, known: list[GroupSum], schema: ModelSchema) -> None:
    """Store the encrypted sums, without their masks, and begin the step in which a holder of the key opens them."""
    config = collection.config
    public, arrangement = collection.public_key(), ciphertexts.layout(config, schema.size)
    sums = [
        ciphertexts.summed(public, arrangement, _bodies(collection, each, claim.renew), each.seeds) for each in known
    ]
    digest = blobs().put(b"".join(sums))
    with transaction.atomic():
        moved = move(
            round_id=config.round_id,
            source=Status.AGGREGATING,
            target=Status.IN_PROGRESS,
            actor=COORDINATOR,
            reason="its encrypted sums wait to be opened",
            token=claim.token,
            clock=claim.clock,
            step=Step.OPEN,
            sum_digest=digest,
            deadline=claim.clock.now() + timedelta(seconds=config.step_seconds),
        )
        if not moved:
            raise Superseded


def _bodies(collection: Collection, each: GroupSum, renew: Renew) -> Iterator[bytes]:
    """The masked updates of a group's survivors, one after the other."""
    rows = collection.training_round.submissions.filter(organization__org_id__in=each.survivors)
    for digest in rows.order_by("organization__org_id").values_list("wire_digest", flat=True):
        yield blobs().verify(digest).read_bytes()
        renew()


def _record(collection: Collection, kind: str, data: Mapping[str, Any], clock: Clock) -> None:
    record_event(kind=kind, actor=COORDINATOR, subject=collection.config.round_id, data=data, clock=clock)
