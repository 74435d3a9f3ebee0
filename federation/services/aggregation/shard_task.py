"""One shard of a large round's aggregation."""

from __future__ import annotations

from django.db import DatabaseError, transaction

from federation.models import TrainingRound
from federation.services import rounds
from federation.services.aggregation import inputs, shards
from federation.services.aggregation.claims import ShardClaim, Superseded, claim_shard
from federation.services.aggregation.pieces import PiecesLost
from federation.services.transitions import Status
from flxdr.core.clock import Clock
from flxdr.core.errors import FlxdrError


def aggregate_shard(*, shard_id: int, clock: Clock) -> bool:
    """Work on one range of a round's coordinates, if it waits and nobody does.

    As safe to call as `aggregate_round`, and with the same ends: what is impossible fails the round with its code,
    trouble that passes gives the shard back.

    Returns:
        Whether this call finished the shard.
    """
    claim = claim_shard(shard_id, clock)
    if claim is None:
        return False
    try:
        return _work(claim)
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
        _fail(claim, "aggregation_failed", f"unexpected {type(error).__name__}; see the coordinator's log")
        raise


def _work(claim: ShardClaim) -> bool:
    with inputs.damage_told_from_trouble(claim.training_round, claim.renew):
        shards.finish(claim, shards.run(claim, inputs.load(claim.training_round)))
    return True


def _fail(claim: ShardClaim, code: str, reason: str) -> None:
    with transaction.atomic():
        # The round's row first, as everybody who ends a round.
        TrainingRound.objects.select_for_update().get(pk=claim.training_round.pk)
        if claim.held().exists():
            rounds.fail_round(
                round_id=claim.training_round.round_id,
                code=code,
                reason=reason,
                sources=(Status.AGGREGATING,),
                clock=claim.clock,
            )
