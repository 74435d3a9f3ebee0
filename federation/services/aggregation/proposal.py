"""A finished aggregation before the organisations: candidate, proposal and what each update looked like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from numpy.typing import NDArray

from federation import selectors
from federation.aggregation import anomaly
from federation.aggregation.anomaly import AnomalyScore
from federation.models import ModelVersion, Participant, TrainingRound
from federation.round_config import PPM
from federation.services import aggregation_scratch, candidates, reputation
from federation.services.aggregation import release_files
from federation.services.aggregation.claims import RoundClaim
from federation.services.aggregation.inputs import Inputs
from federation.services.aggregation.release_files import ReleaseFiles
from federation.services.aggregation.work import Part
from federation.services.transitions import COORDINATOR, Status, move
from ledger.services.locking import lock_chain


@dataclass(frozen=True)
class Outcome:
    """What the aggregation found.

    Attributes:
        left_out: by index into the cohort, why an update does not count.
        scores: in the cohort's order; none in a masked round, whose single updates nobody sees.
    """

    inputs: Inputs
    left_out: Mapping[int, str]
    scores: Sequence[AnomalyScore]
    files: ReleaseFiles


def outcome(
    claim: RoundClaim, inputs: Inputs, parts: Sequence[Part], products: NDArray[Any], left_out: Mapping[int, str]
) -> Outcome:
    """Write the candidate's files and score the updates."""
    files = release_files.write(inputs, parts, claim.renew)
    scores = [] if inputs.training_round.step else anomaly.scores(products)
    return Outcome(inputs, left_out, scores, files)


def commit(claim: RoundClaim, found: Outcome) -> bool:
    """Candidate, proposal, anomaly scores and the new status, in the one transaction that checks the claim.

    Returns:
        Whether the claim still held; if not, nothing was written.
    """
    config, submissions = found.inputs.config, found.inputs.submissions
    with transaction.atomic():
        lock_chain()
        moved = move(
            round_id=config.round_id,
            source=Status.AGGREGATING,
            target=Status.VERIFYING,
            actor=COORDINATOR,
            reason=f"{config.aggregation_method} of {len(submissions)} updates",
            token=claim.token,
            clock=claim.clock,
            convergence_metric=found.files.update_norm,
            metrics={name: value / PPM for name, value in candidates.mean_metrics(submissions).items()},
        )
        if not moved:
            return False
        if claim.training_round.step:
            _note_masked(claim.training_round, found)
        else:
            _note_participants(claim.training_round, found)
        version = ModelVersion.objects.create(
            model_name=config.model_name,
            version=selectors.next_version(config.model_name),
            model_hash=found.files.model_hash,
            parent_hash=config.parent_hash or "",
            blob_digest=found.files.blob_digest,
            optimizer_state_digest=found.files.state_digest or "",
            schema=found.inputs.schema.as_json(),
            status=ModelVersion.Status.CANDIDATE,
            training_round=claim.training_round,
            created_at=claim.clock.now(),
        )
        candidates.propose(version=version, config=config, submissions=submissions, clock=claim.clock)
        aggregation_scratch.discard_after_commit(config.round_id)
        return True


def _note_masked(training_round: TrainingRound, found: Outcome) -> None:
    """Write down whose updates are in the sums; a group that could not be unmasked is left out."""
    included = {submission.organization_id for submission in found.inputs.submissions}
    submitted = training_round.participants.filter(status=Participant.Status.SUBMITTED)
    lost = submitted.exclude(organization_id__in=included)
    reputation.note_accepted(sorted(included))
    reputation.note_left_out(sorted(lost.values_list("organization_id", flat=True)))
    lost.update(status=Participant.Status.LEFT_OUT, left_out_reason="the sum of its group could not be unmasked")


def _note_participants(training_round: TrainingRound, found: Outcome) -> None:
    """Write down how each update looked beside the others, and whether it counted."""
    parts = {part.organization_id: part for part in training_round.participants.all()}
    noted = []
    for index, (submission, score) in enumerate(zip(found.inputs.submissions, found.scores, strict=True)):
        part = parts[submission.organization_id]
        part.update_norm, part.cosine = score.norm, score.cosine
        part.distance, part.anomaly_score = score.distance, score.score
        reason = found.left_out.get(index)
        if reason is not None:
            part.status, part.left_out_reason = Participant.Status.LEFT_OUT, reason
        noted.append(part)
    fields = ["status", "update_norm", "cosine", "distance", "anomaly_score", "left_out_reason"]
    Participant.objects.bulk_update(noted, fields)
    left_out = {part.organization_id for part in noted if part.status == Participant.Status.LEFT_OUT}
    reputation.note_left_out(sorted(left_out))
    reputation.note_accepted(sorted({part.organization_id for part in noted} - left_out))
