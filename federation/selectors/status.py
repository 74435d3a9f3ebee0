"""The federation at a glance, for one model."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Q

import privacy.selectors
from federation.models import ModelVersion, Organization, TrainingRound
from federation.selectors.versions import released_version
from flxdr.core.clock import format_timestamp


def federation_status(model: str | None = None) -> dict[str, Any]:
    """The guide's fields, for `model` or the default model.

    - `current_round`: number of the newest round that was started, 0 before the first.
    - `global_model_version`: of the newest sealed release, `v0` before the first.
    - `last_aggregation`: when the newest candidate was aggregated, whatever became of it.
    - `training_accuracy`: sample-weighted mean of the accuracy that the participants of the newest release reported;
      null if there is no release or nobody reported one.
    - `privacy_budget_used`: epsilon spent and reserved, of the organisation that has used most.
    """
    model_name = model or settings.FLXDR.default_model
    organizations = Organization.objects.aggregate(
        total=Count("pk"), active=Count("pk", filter=Q(status=Organization.Status.ACTIVE))
    )
    rounds = TrainingRound.objects.filter(model_name=model_name)
    aggregated = ModelVersion.objects.filter(model_name=model_name, training_round__isnull=False)
    last_aggregation = aggregated.aggregate(last=Max("created_at"))["last"]
    release = released_version(model_name)
    metrics = release.training_round.metrics if release and release.training_round else {}
    return {
        "current_round": rounds.aggregate(last=Max("number"))["last"] or 0,
        "total_orgs": organizations["total"],
        "active_orgs": organizations["active"],
        "global_model_version": f"v{release.version if release else 0}",
        "last_aggregation": format_timestamp(last_aggregation) if last_aggregation else None,
        "training_accuracy": metrics.get("accuracy"),
        "privacy_budget_used": privacy.selectors.largest_epsilon(),
        "model_name": model_name,
        "global_model_hash": release.model_hash if release else None,
    }
