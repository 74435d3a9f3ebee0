"""A large round: its steps as rows that any worker claims, and what the last one to finish a step does next.

`measure` finds the inner products of the updates over a range of coordinates; their sum gives the strategy's plan.
`combine` applies the plan to a range. Both work on ranges alone, exactly, so the result is that of a whole round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from federation.models import AggregationShard, TrainingRound
from federation.services.aggregation import pieces, proposal, work
from federation.services.aggregation.claims import RoundClaim, ShardClaim, Superseded
from federation.services.aggregation.inputs import Inputs
from federation.services.queue import AGGREGATE_ROUND, AGGREGATE_SHARD, enqueue

Step = AggregationShard.Step
Status = AggregationShard.Status


def plan(claim: RoundClaim, found: Inputs, step: Step, input_digest: str = "") -> None:
    """Make the step's shards and let go of the round, at once."""
    with transaction.atomic():
        if claim.held().update(token="", lease_until=None) != 1:
            raise Superseded
        made = AggregationShard.objects.bulk_create(
            AggregationShard(
                training_round=claim.training_round,
                step=step,
                start=span.start,
                stop=span.stop,
                input_digest=input_digest,
            )
            for span in work.ranges(found.cohort.count, found.cohort.size)
        )
        for shard in made:
            enqueue(AGGREGATE_SHARD, shard_id=shard.pk)


def advance(claim: RoundClaim, found: Inputs) -> bool:
    """Take the round's next step, when no shard of the one before is unfinished.

    Returns:
        Whether this call proposed the model.

    Raises:
        PiecesLost: results of the step before are gone.
    """
    shards = list(claim.training_round.shards.select_related("training_round").order_by("start"))
    measuring = [shard for shard in shards if shard.step == Step.MEASURE]
    combining = [shard for shard in shards if shard.step == Step.COMBINE]
    if any(shard.status != Status.DONE for shard in shards):
        claim.give_up()
    elif combining:
        return _propose(claim, found, combining)
    else:
        nothing: NDArray[Any] = np.zeros((found.cohort.count, found.cohort.count), dtype=object)
        products = sum((pieces.products(shard.training_round, shard.result_digest) for shard in measuring), nothing)
        plan(claim, found, Step.COMBINE, pieces.put_products(claim.training_round, products))
    return False


def run(claim: ShardClaim, found: Inputs) -> str:
    """Do a shard's work; the digest of its result.

    Raises:
        PiecesLost: what it starts from is gone.
    """
    shard = claim.shard
    span = slice(shard.start, shard.stop)
    if shard.step == Step.MEASURE:
        return pieces.put_products(shard.training_round, work.measured(found, span, claim.renew))
    recipe = found.strategy.plan(found.cohort, pieces.products(shard.training_round, shard.input_digest))
    return pieces.put_part(shard.training_round, work.combined(found, recipe, span, claim.renew))


def finish(claim: ShardClaim, result_digest: str) -> None:
    """Write down the shard's result; the last one of its step asks for the round's next step.

    Raises:
        Superseded: the claim is lost.
    """
    now = claim.clock.now()
    done = claim.held().update(
        status=Status.DONE, token="", lease_until=None, result_digest=result_digest, finished_at=now
    )
    if done != 1:
        raise Superseded
    # Asked after the row is committed: of workers that finish at the same moment at least one finds nothing left.
    if not claim.training_round.shards.filter(status=Status.WAITING).exists():
        enqueue(AGGREGATE_ROUND, round_id=claim.training_round.round_id)


def start_over(claim: RoundClaim | ShardClaim) -> None:
    """Forget the round's shards, whose pieces are lost, and aggregate it from the start."""
    with transaction.atomic():
        held = TrainingRound.objects.select_for_update().filter(pk=claim.training_round.pk).first()
        if held is None or not claim.held().exists():
            return
        AggregationShard.objects.filter(training_round=held).delete()
        TrainingRound.objects.filter(pk=held.pk, status=TrainingRound.Status.AGGREGATING).update(
            token="", lease_until=None
        )
        enqueue(AGGREGATE_ROUND, round_id=held.round_id)


def _propose(claim: RoundClaim, found: Inputs, combining: Sequence[AggregationShard]) -> bool:
    products = pieces.products(claim.training_round, combining[0].input_digest)
    recipe = found.strategy.plan(found.cohort, products)
    parts = []
    for shard in combining:
        parts.append(pieces.part_of(shard, len(found.strategy.state_names)))
        claim.renew()
    return proposal.commit(claim, proposal.outcome(claim, found, parts, products, recipe.left_out))
