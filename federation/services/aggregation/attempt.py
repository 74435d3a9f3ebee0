"""How a worker's attempt at a round's step or at a shard may end."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.db import Error as AnyDatabaseError
from django.db import transaction

from federation.models import TrainingRound
from federation.services import round_failure
from federation.services.aggregation import shards
from federation.services.aggregation.claims import RoundClaim, ShardClaim, Superseded
from federation.services.aggregation.pieces import PiecesLost
from federation.services.transitions import Status
from flxdr.core.errors import FlxdrError
from flxdr.platform.errors import StorageUnavailable
from flxdr.platform.storage.blobs import held

_log = structlog.get_logger("flxdr.aggregation")


def attempt(claim: RoundClaim | ShardClaim, work: Callable[[], bool]) -> bool:
    """Do the claimed work.

    What is impossible fails the round with its code; trouble of the database, the disk or the store of the files gives
    the claim back for a later attempt; results of other workers that are lost make the round start over.

    Returns:
        What `work` returns; False where it came to nothing.
    """
    with structlog.contextvars.bound_contextvars(round_id=claim.training_round.round_id):
        return _attempt(claim, work)


def _attempt(claim: RoundClaim | ShardClaim, work: Callable[[], bool]) -> bool:
    _log.debug("claimed", claim=str(claim))
    try:
        with held():
            done = work()
        _log.debug("worked", claim=str(claim), done=done)
        return done
    except Superseded:
        _log.debug("superseded", claim=str(claim))
        return False
    except PiecesLost:
        _log.warning("results of other workers are lost; the round starts over")
        shards.start_over(claim)
        return False
    except (AnyDatabaseError, OSError, StorageUnavailable) as error:
        _log.warning("given back for a later attempt", claim=str(claim), reason=f"{type(error).__name__}: {error}")
        claim.give_up()
        raise
    except FlxdrError as error:
        _fail(claim, error.code, error.detail)
        return False
    except Exception as error:
        # A defect would meet the same submissions again: fail the round rather than retry for ever, and let it be seen.
        _fail(claim, "aggregation_failed", f"unexpected {type(error).__name__}; see the coordinator's log")
        raise


def _fail(claim: RoundClaim | ShardClaim, code: str, reason: str) -> None:
    with transaction.atomic():
        # The round's row first, as everybody who ends a round.
        TrainingRound.objects.select_for_update().get(pk=claim.training_round.pk)
        if claim.held().exists():
            round_failure.fail_round(
                round_id=claim.training_round.round_id,
                code=code,
                reason=reason,
                sources=(Status.AGGREGATING,),
                clock=claim.clock,
            )
