"""One step of a round's aggregation; for a small round that is all of it."""

from __future__ import annotations

from functools import partial

import structlog

from federation.models import AggregationShard
from federation.services.aggregation import inputs, shards, whole, work
from federation.services.aggregation.attempt import attempt
from federation.services.aggregation.claims import RoundClaim, claim_round
from federation.services.masking import sums
from flxdr.core.clock import Clock
from models_ml.codec import ModelSchema

Step = AggregationShard.Step
_log = structlog.get_logger("flxdr.aggregation")


def aggregate_round(*, round_id: str, clock: Clock) -> bool:
    """Aggregate a round whose collection has ended and propose the new model to the organisations.

    A large round is shared among the workers: then this makes the next step's shards, and the last shard to finish
    asks for this again. Safe to call any number of times, at once, and after a crash at any point: one claim at a time,
    and only a commit under the current claim counts (see `attempt` for its ends).

    Returns:
        Whether this call proposed the model.
    """
    claim = claim_round(round_id, clock)
    return claim is not None and attempt(claim, partial(_next_step, claim))


def _next_step(claim: RoundClaim) -> bool:
    training_round = claim.training_round
    parent = inputs.parent_of(training_round)
    if training_round.shards.exists():
        with inputs.damage_told_from_trouble(training_round, claim.renew):
            inputs.fetch(training_round, parent, claim.renew)
            return shards.advance(claim, inputs.assemble(training_round, parent))
    if training_round.step and not sums.unmask(claim, ModelSchema.from_json(parent.schema)):
        return False
    inputs.verify(training_round, parent, claim.renew)
    found = inputs.assemble(training_round, parent)
    _log.debug("combining", method=found.config.aggregation_method, updates=found.cohort.count, size=found.cohort.size)
    if len(work.ranges(found.cohort.count, found.cohort.size)) == 1:
        return whole.aggregate(claim, found)
    shards.plan(claim, found, Step.MEASURE)
    return False
