"""What a masked round releases: the plain weighted mean of those who stayed, within the rounding that it states."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from federation.aggregation import weighting
from federation.masking.steps import Step
from federation.models import ModelVersion
from federation.services import aggregation
from federation.services.model_versions import load
from flxdr.core.clock import ManualClock
from models_ml import codec, registry
from models_ml.codec import Int32
from tests.support.federation import SimulatedFederation
from tests.support.masking import MaskedRound, random_updates

pytestmark = pytest.mark.django_db
MODEL = "edge-classifier"
SIZE = registry.MODELS[MODEL].schema.size
NAMES = ("org-a", "org-b", "org-c", "org-d", "org-e")
SAMPLES = {"org-a": 17, "org-b": 1_000, "org-c": 4_099, "org-d": 70_001, "org-e": 123_457}
UNIT = 1 << 2
"""Masked values are in units of 2^-22, updates in units of 2^-24."""
LARGEST_WEIGHT = 1 << 16


def released(masked: MaskedRound, clock: ManualClock) -> Int32:
    """Aggregate what was collected; how far the candidate is from its parent."""
    assert aggregation.aggregate_round(round_id=masked.training_round.round_id, clock=clock)
    candidate = ModelVersion.objects.get(training_round=masked.training_round)
    parent = ModelVersion.objects.get(model_name=MODEL, version=candidate.version - 1)
    return codec.flatten(load(candidate)) - codec.flatten(load(parent))


def plain_mean(updates: Mapping[str, Int32], weights: Mapping[str, int]) -> NDArray[np.float64]:
    total = sum(weights[name] * updates[name].astype(object) for name in updates)
    return np.asarray(total / sum(weights[name] for name in updates), dtype=np.float64)


def stated_bound(members: int, shares: float, largest: float) -> float:
    """How far the mean may be from the plain one, in units of 2^-24.

    n truncations of one unit of 2^-22 each and n public weights that were rounded to a 2^16th of the largest, over the
    sum of the weights (`shares` of the largest); then the mean itself is rounded.
    """
    return members * UNIT / shares + 2 * largest * members / (shares * LARGEST_WEIGHT) + 0.5


@pytest.mark.parametrize(
    ("how", "absent"),
    [("samples", {}), ("equal", {}), ("capped", {}), ("samples", {"org-c": Step.MASKED_INPUT})],
)
def test_the_sum_is_the_plain_weighted_mean(
    federation: SimulatedFederation, clock: ManualClock, how: str, absent: dict[str, Step]
) -> None:
    federation.enrol(*NAMES)
    updates = random_updates(NAMES, SIZE)
    masked = MaskedRound.start(
        federation,
        clock,
        updates,
        samples=SAMPLES,
        absent=absent,
        model_name=MODEL,
        aggregation_method="FedAvg",
        weighting=how,
    )
    assert masked.collect().status == "aggregating"
    stayed = [name for name in NAMES if name not in absent]
    weights = dict(zip(NAMES, weighting.weights([SAMPLES[name] for name in NAMES], how).tolist(), strict=True))
    expected = plain_mean({name: updates[name] for name in stayed}, weights)
    shares = sum(weights[name] for name in stayed) / max(weights.values())
    difference = np.abs(released(masked, clock) - expected).max()
    assert difference <= stated_bound(len(stayed), shares, float(1 << 24))
    assert difference < np.abs(expected).mean() / 1_000
