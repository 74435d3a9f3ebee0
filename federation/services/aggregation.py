"""From a closed collection to a proposed model: claimed by one worker, committed only under that claim."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from django.db import DatabaseError, transaction
from django.db.models import Q

from federation.aggregation import anomaly, engine, registry, weighting
from federation.aggregation.anomaly import AnomalyScore
from federation.aggregation.cohort import Aggregate, Cohort
from federation.models import ModelVersion, Participant, Submission, TrainingRound
from federation.protection import registry as protections
from federation.round_config import PPM, RoundConfig
from federation.services import candidates, model_versions, reputation, rounds
from federation.services.transitions import COORDINATOR, Status, move
from flxdr.core.clock import Clock
from flxdr.core.errors import FlxdrError
from flxdr.platform.storage.blobs import blobs
from ledger.services.locking import lock_chain
from models_ml import codec
from models_ml.codec import ModelSchema
from models_ml.fixed_point import add_update, dequantise

LEASE = timedelta(seconds=30)
"""How long a worker may be silent before another one takes its round; it renews the lease between its steps."""


class Superseded(Exception):
    """Another worker holds the round by now, or the round has ended; this one's work is void."""


@dataclass(frozen=True)
class Claim:
    """A worker's right to aggregate one round."""

    training_round: TrainingRound
    token: str
    clock: Clock

    def renew(self) -> None:
        """Extend the lease.

        Raises:
            Superseded: the claim is lost.
        """
        held = TrainingRound.objects.filter(
            pk=self.training_round.pk, status=Status.AGGREGATING, token=self.token
        ).update(lease_until=self.clock.now() + LEASE)
        if held != 1:
            raise Superseded(self.training_round.round_id)

    def give_up(self) -> None:
        """Let another worker take the round at once."""
        TrainingRound.objects.filter(pk=self.training_round.pk, token=self.token).update(token="", lease_until=None)


@dataclass(frozen=True)
class Outcome:
    """What the aggregation found."""

    config: RoundConfig
    submissions: Sequence[Submission]
    aggregate: Aggregate
    scores: Sequence[AnomalyScore]
    schema: ModelSchema
    model_hash: str
    blob_digest: str


def aggregate_round(*, round_id: str, clock: Clock) -> bool:
    """Aggregate a round whose collection has ended and propose the new model to the organisations.

    Safe to call any number of times, at once, and after a crash at any point: one claim at a time, and only a commit
    under the current claim counts. An aggregation that is impossible fails the round with its code; trouble of the
    database or the disk gives the claim back for a later attempt.

    Returns:
        Whether this call proposed the model.
    """
    claim = _claim(round_id, clock)
    if claim is None:
        return False
    try:
        return _commit(claim, _aggregate(claim))
    except Superseded:
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


def _claim(round_id: str, clock: Clock) -> Claim | None:
    token = secrets.token_hex(16)
    free = Q(token="") | Q(lease_until__isnull=True) | Q(lease_until__lte=clock.now())
    claimed = TrainingRound.objects.filter(free, round_id=round_id, status=Status.AGGREGATING).update(
        token=token, lease_until=clock.now() + LEASE
    )
    if claimed != 1:
        return None
    return Claim(TrainingRound.objects.get(round_id=round_id), token, clock)


def _fail(claim: Claim, code: str, reason: str) -> None:
    rounds.fail_round(
        round_id=claim.training_round.round_id,
        code=code,
        reason=reason,
        sources=(Status.AGGREGATING,),
        token=claim.token,
        clock=claim.clock,
    )


def _aggregate(claim: Claim) -> Outcome:
    config = RoundConfig.decode(bytes(claim.training_round.config))
    submissions = list(claim.training_round.submissions.select_related("organization").order_by("organization__org_id"))
    parent = model_versions.parent_of(config)
    assert parent is not None, "the first submission fixed the schema"
    schema = ModelSchema.from_json(parent.schema)
    vectors = []
    for vector in protections.get(config.protection).vectors(_stored(submissions), schema):
        vectors.append(vector)
        claim.renew()
    cohort = Cohort(
        updates=vectors,
        weights=weighting.weights([submission.samples for submission in submissions], config.weighting),
        digests=[submission.wire_digest for submission in submissions],
    )
    products = engine.measure(cohort)
    claim.renew()
    strategy = registry.build(config.aggregation_method, config.aggregation_params)
    aggregate = engine.aggregate(strategy, cohort, products=products)
    claim.renew()
    scores = anomaly.scores(products)
    claim.renew()
    model = add_update(codec.flatten(model_versions.load(parent)), aggregate.update)
    data = codec.encode(codec.unflatten(model, schema))
    return Outcome(
        config=config,
        submissions=submissions,
        aggregate=aggregate,
        scores=scores,
        schema=schema,
        model_hash=codec.model_hash(data),
        blob_digest=blobs().put(data),
    )


def _stored(submissions: Sequence[Submission]) -> Iterator[bytes]:
    store = blobs()
    return (store.get(submission.update_digest) for submission in submissions)


def _commit(claim: Claim, outcome: Outcome) -> bool:
    """Candidate, proposal, anomaly scores and the new status, in the one transaction that checks the claim."""
    with transaction.atomic():
        lock_chain()
        moved = move(
            round_id=outcome.config.round_id,
            source=Status.AGGREGATING,
            target=Status.VERIFYING,
            actor=COORDINATOR,
            reason=f"{outcome.config.aggregation_method} of {len(outcome.submissions)} updates",
            token=claim.token,
            clock=claim.clock,
            convergence_metric=float(np.linalg.norm(dequantise(outcome.aggregate.update))),
            metrics={name: value / PPM for name, value in candidates.mean_metrics(outcome.submissions).items()},
        )
        if not moved:
            return False
        _note_participants(claim.training_round, outcome)
        version = ModelVersion.objects.create(
            model_name=outcome.config.model_name,
            version=outcome.config.parent_version + 1,
            model_hash=outcome.model_hash,
            parent_hash=outcome.config.parent_hash or "",
            blob_digest=outcome.blob_digest,
            schema=outcome.schema.as_json(),
            status=ModelVersion.Status.CANDIDATE,
            training_round=claim.training_round,
            created_at=claim.clock.now(),
        )
        candidates.propose(version=version, config=outcome.config, submissions=outcome.submissions, clock=claim.clock)
        return True


def _note_participants(training_round: TrainingRound, outcome: Outcome) -> None:
    """Write down how each update looked beside the others, and whether it counted."""
    parts = {part.organization_id: part for part in training_round.participants.all()}
    noted = []
    for index, (submission, score) in enumerate(zip(outcome.submissions, outcome.scores, strict=True)):
        part = parts[submission.organization_id]
        part.update_norm, part.cosine = score.norm, score.cosine
        part.distance, part.anomaly_score = score.distance, score.score
        reason = outcome.aggregate.left_out.get(index)
        if reason is not None:
            part.status, part.left_out_reason = Participant.Status.LEFT_OUT, reason
        noted.append(part)
    fields = ["status", "update_norm", "cosine", "distance", "anomaly_score", "left_out_reason"]
    Participant.objects.bulk_update(noted, fields)
    left_out = {part.organization_id for part in noted if part.status == Participant.Status.LEFT_OUT}
    reputation.note_left_out(sorted(left_out))
    reputation.note_accepted(sorted({part.organization_id for part in noted} - left_out))
