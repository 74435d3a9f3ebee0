"""The mean that a masked round released, the one of the same updates in the clear, and how far apart they may be."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from federation.models import ModelVersion
from federation.services import aggregation
from federation.services.model_versions import load
from flxdr.core.clock import ManualClock
from models_ml import codec
from models_ml.codec import Int32
from tests.support.masking import MaskedRound

LARGEST_WEIGHT = 1 << 16


def released(masked: MaskedRound, clock: ManualClock) -> Int32:
    """Aggregate what was collected; how far the candidate is from its parent."""
    assert aggregation.aggregate_round(round_id=masked.training_round.round_id, clock=clock)
    candidate = ModelVersion.objects.get(training_round=masked.training_round)
    parent = ModelVersion.objects.get(model_name=candidate.model_name, version=candidate.version - 1)
    return codec.flatten(load(candidate)) - codec.flatten(load(parent))


def plain_mean(updates: Mapping[str, Int32], weights: Mapping[str, int]) -> NDArray[np.float64]:
    total = sum(weights[name] * updates[name].astype(object) for name in updates)
    return np.asarray(total / sum(weights[name] for name in updates), dtype=np.float64)


def stated_bound(members: int, shares: float, largest: float, frac_bits: int) -> float:
    """How far the mean may be from the plain one, in units of 2^-24.

    n truncations of one unit of 2^-frac_bits each and n public weights that were rounded to a 2^16th of the largest,
    over the sum of the weights (`shares` of the largest); then the mean itself is rounded.
    """
    return members * 2.0 ** (24 - frac_bits) / shares + 2 * largest * members / (shares * LARGEST_WEIGHT) + 0.5
