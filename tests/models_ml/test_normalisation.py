from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_ml import registry
from models_ml.features import FEATURES, extract
from models_ml.fixed_point import SCALE, add_update, dequantise, round_half_up_div
from models_ml.local_trainer import LocalConfig
from models_ml.normalisation import MAX_NORMALISED, MIN_DEVIATION, moments, normalise
from models_ml.tasks import task_for
from tests.models_ml.streams import two_families


@given(st.lists(st.integers(1, 400), min_size=1, max_size=6), st.integers(0, 99))
def test_a_weighted_round_gives_the_moments_of_all_records_together(sizes: list[int], seed: int) -> None:
    parts = [two_families(seed=seed + index, count=size) for index, size in enumerate(sizes)]
    parent = registry.MODELS["edge-normaliser"].initial()
    task = task_for("edge-normaliser")
    updates = [task.train(parent, part, LocalConfig()) for part in parts]
    assert [update.samples for update in updates] == sizes
    features = np.vstack([extract(part) for part in parts]).astype(np.float64)
    for name, pooled in (("mean", features.mean(axis=0)), ("second_moment", np.square(features).mean(axis=0))):
        weighted = sum(update.samples * update.delta[name].astype(np.int64) for update in updates)
        new = add_update(parent[name], round_half_up_div(np.asarray(weighted), sum(sizes)).astype(np.int32))
        assert np.abs(dequantise(new) - pooled).max() <= 1.01 / SCALE


def test_the_starting_point_leaves_features_as_they_are() -> None:
    features = extract(two_families(seed=1, count=50))
    assert (normalise(features, registry.MODELS["edge-normaliser"].initial()) == features).all()


def test_normalised_features_have_mean_zero_and_deviation_one() -> None:
    features = extract(two_families(seed=1, count=2000))
    normalised = normalise(features, moments(features))
    wide = features.std(axis=0) > MIN_DEVIATION
    uncut = np.abs(normalised).max(axis=0) < MAX_NORMALISED
    assert (wide & uncut).sum() > 5
    np.testing.assert_allclose(normalised[:, wide & uncut].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(normalised[:, wide & uncut].std(axis=0), 1, atol=1e-3)


def test_constant_features_are_not_blown_up_and_outliers_are_cut_off() -> None:
    features = np.full((10, len(FEATURES)), 0.5, dtype=np.float32)
    normaliser = moments(features)
    shifted = features + np.float32(0.01)
    assert normalise(shifted, normaliser) == pytest.approx(0.01 / MIN_DEVIATION, rel=1e-3)
    assert normalise(features + np.float32(2), normaliser).max() == MAX_NORMALISED
