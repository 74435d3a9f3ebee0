"""One step of a round's aggregation; for a small round that is all of it."""

from __future__ import annotations

from django.db import DatabaseError

from federation.models import AggregationShard
from federation.services import rounds
from federation.services.aggregation import inputs, shards, whole, work
from federation.services.aggregation.claims import RoundClaim, Superseded, claim_round
from federation.services.aggregation.pieces import PiecesLost
from federation.services.transitions import Status
from flxdr.core.clock import Clock
from flxdr.core.errors import FlxdrError

Step = AggregationShard.Step


def aggregate_round(*, round_id: str, clock: Clock) -> bool:
    """Aggregate a round whose collection has ended and propose the new model to the organisations.

    A large round is shared among the workers: then this makes the next step's shards, and the last shard to finish
    asks for this again. Safe to call any number of times, at once, and after a crash at any point: one claim at a time,
    and only a commit under the current claim counts. An aggregation that is impossible fails the round with its code;
    trouble of the database or the disk gives the claim back for a later attempt.

    Returns:
        Whether this call proposed the model.
    """
    claim = claim_round(round_id, clock)
    if claim is None:
        return False
    try:
        return _next_step(claim)
    except Superseded:
        return False
    except PiecesLost:
        shards.start_over(claim)
        return False
    except FlxdrError as error:
        _fail(claim, error.code, error.detail)
        return False
    except (DatabaseError, OSError):
        claim.give_up()
        raise
    except Exception as error:
        # A defect would meet the same submissions again: fail the round rather than retry for ever, and let it be seen.
        _fail(claim, "aggregation_failed", f"unexpected {type(error).__name__}; see the coordinator's log")
        raise


def _next_step(claim: RoundClaim) -> bool:
    training_round = claim.training_round
    if training_round.shards.exists():
        with inputs.damage_told_from_trouble(training_round, claim.renew):
            return shards.advance(claim, inputs.load(training_round))
    inputs.verify(training_round, claim.renew)
    found = inputs.load(training_round)
    if len(work.ranges(found.cohort.count, found.cohort.size)) == 1:
        return whole.aggregate(claim, found)
    shards.plan(claim, found, Step.MEASURE)
    return False


def _fail(claim: RoundClaim, code: str, reason: str) -> None:
    rounds.fail_round(
        round_id=claim.training_round.round_id,
        code=code,
        reason=reason,
        sources=(Status.AGGREGATING,),
        token=claim.token,
        clock=claim.clock,
    )
