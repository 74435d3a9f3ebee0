"""A candidate model before the organisations: its provenance, and the ledger's proposal for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from federation import statements
from federation.models import ModelVersion, Submission
from federation.round_config import RoundConfig
from flxdr.core.clock import Clock
from ledger.chain.block import SubmissionEntry, submissions_root
from ledger.services.proposals import propose_release


def propose(*, version: ModelVersion, config: RoundConfig, submissions: Sequence[Submission], clock: Clock) -> None:
    """Propose the candidate to the ledger, in the caller's transaction."""
    training_orgs = [submission.organization.org_id for submission in submissions]
    proposal = propose_release(
        provenance=_provenance(version, config, submissions),
        model_hash=version.model_hash,
        training_orgs=training_orgs,
        clock=clock,
    )
    version.proposal_id = proposal.pk
    version.save(update_fields=["proposal_id"])


def submission_entries(submissions: Sequence[Submission]) -> list[SubmissionEntry]:
    """What a release's Merkle tree holds of its submissions."""
    return [
        SubmissionEntry(submission.organization.org_id, submission.wire_digest, submission.samples)
        for submission in submissions
    ]


def mean_metrics(submissions: Sequence[Submission]) -> dict[str, int]:
    """The sample-weighted mean of each metric over those who reported it, in millionths, rounded half up."""
    totals: defaultdict[str, int] = defaultdict(int)
    samples: defaultdict[str, int] = defaultdict(int)
    for submission in submissions:
        for name, value in statements.metrics_ppm(submission.metrics).items():
            totals[name] += value * submission.samples
            samples[name] += submission.samples
    return {name: (2 * total + samples[name]) // (2 * samples[name]) for name, total in totals.items()}


def _opened(version: ModelVersion) -> dict[str, str]:
    """Of a Paillier round, the files with its encrypted sums and their openings, and which of the sums count."""
    training_round = version.training_round
    if training_round is None or not training_round.opening_digest:
        return {}
    places = training_round.masked_means.order_by("index").values_list("index", flat=True)
    return {
        "sum_digest": training_round.sum_digest,
        "opening_digest": training_round.opening_digest,
        "sums": ",".join(map(str, places)),
    }


def _provenance(version: ModelVersion, config: RoundConfig, submissions: Sequence[Submission]) -> dict[str, Any]:
    return {
        "round_id": config.round_id,
        "round_number": config.round_number,
        "config_hash": config.config_hash,
        "model_name": config.model_name,
        "model_version": version.version,
        "parent_model_hash": config.parent_hash,
        "aggregation_method": config.aggregation_method,
        "aggregation_params": dict(config.aggregation_params),
        "weighting": config.weighting,
        "optimizer_state_hash": version.optimizer_state_digest or None,
        "protection": config.protection,
        "training_orgs": sorted(submission.organization.org_id for submission in submissions),
        "samples_total": sum(submission.samples for submission in submissions),
        "submissions_root": submissions_root(submission_entries(submissions)),
        "privacy": dict(config.privacy) | _opened(version),
        "metrics_ppm": mean_metrics(submissions),
    }
