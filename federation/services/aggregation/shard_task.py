"""One shard of a large round's aggregation."""

from __future__ import annotations

from functools import partial

from federation.services.aggregation import inputs, shards
from federation.services.aggregation.attempt import attempt
from federation.services.aggregation.claims import ShardClaim, claim_shard
from flxdr.core.clock import Clock


def aggregate_shard(*, shard_id: int, clock: Clock) -> bool:
    """Work on one range of a round's coordinates, if it waits and nobody does.

    As safe to call as `aggregate_round`, and with the same ends (see `attempt`).

    Returns:
        Whether this call finished the shard.
    """
    claim = claim_shard(shard_id, clock)
    return claim is not None and attempt(claim, partial(_work, claim))


def _work(claim: ShardClaim) -> bool:
    training_round = claim.training_round
    with inputs.damage_told_from_trouble(training_round, claim.renew):
        parent = inputs.parent_of(training_round)
        inputs.fetch(training_round, parent, claim.renew)
        found = inputs.assemble(training_round, parent)
        shards.finish(claim, shards.run(claim, found))
    return True
