"""What a masked round releases: the plain weighted mean of those who stayed, within the rounding that it states."""

from __future__ import annotations

import numpy as np
import pytest

from federation.aggregation import weighting
from federation.masking.steps import Step
from flxdr.core.clock import ManualClock
from models_ml import registry
from tests.federation.masking.means import plain_mean, released, stated_bound
from tests.support.federation import SimulatedFederation
from tests.support.masking import MaskedRound, random_updates

pytestmark = pytest.mark.django_db
MODEL = "edge-classifier"
SIZE = registry.MODELS[MODEL].schema.size
NAMES = ("org-a", "org-b", "org-c", "org-d", "org-e")
SAMPLES = {"org-a": 17, "org-b": 1_000, "org-c": 4_099, "org-d": 70_001, "org-e": 123_457}
FRAC_BITS = 22
"""Masked values are in units of 2^-22, updates in units of 2^-24."""


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
    assert difference <= stated_bound(len(stayed), shares, float(1 << 24), FRAC_BITS)
    assert difference < np.abs(expected).mean() / 1_000
