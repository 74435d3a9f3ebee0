"""Every strategy against every attack, at the bound up to which it promises to stand, and beyond."""

from __future__ import annotations

import numpy as np
import pytest

from federation.aggregation.anomaly import scores
from federation.aggregation.engine import aggregate, measure
from federation.aggregation.krum import Krum
from federation.aggregation.multi_krum import MultiKrum
from federation.aggregation.strategy import Strategy
from models_ml.fixed_point import SCALE
from tests.aggregation.attacks import (
    ATTACKS,
    SITUATIONS,
    Situation,
    honest_updates,
    large_weights,
    largest_z,
    situation,
    small_updates,
)
from tests.aggregation.bounds import MEANS, ROBUST, STRATEGIES, built, fewest, stood
from tests.aggregation.training_federation import f1_after_training, flipped, updates

# How far from the honest mean a strategy may end, in units of the farthest honest update's distance from it.
FACTOR = {
    "median": 1.5,
    "trimmed_mean": 1.1,
    "krum": 1.5,
    "multi_krum": 1.0,
    "norm_bounding": 4.0,  # 2 f B / N with B / spread = 3.3: bounded, not removed
    "centered_clipping": 2.0,
    "geometric_median": 1.5,
    "bulyan": 1.0,
}
# Attacks whose updates are as long as honest ones, or nearly: they move a mean, and do not break it.
QUIET = {
    "little_is_enough",
    "little_is_enough_z",
    "inner_product",
    "inner_product_small",
    "one_coordinate",
    "label_flip",
}
BREAKING = sorted(set(SITUATIONS) - QUIET)
# How many colluders among 20 it takes until the result is more than the honest mean's norm away from it, when the
# strategy was told of as many as it can stand.
BREAKS_AT = {
    "median": 10,
    "trimmed_mean": 5,
    "krum": 10,
    "multi_krum": 9,
    "norm_bounding": 10,
    "centered_clipping": 10,
    "geometric_median": 10,
    "bulyan": 9,
}


@pytest.mark.parametrize("count", [0, 20], ids=["fewest", "20"])
@pytest.mark.parametrize("attack", SITUATIONS)
@pytest.mark.parametrize("name", ROBUST)
def test_a_robust_strategy_stays_within_the_honest_spread(name: str, attack: str, count: int) -> None:
    count = count or fewest(name)
    hostile = stood(name, count)
    attacked = situation(attack, count, hostile)
    assert attacked.error(built(name, hostile)) <= FACTOR[name] * attacked.spread


@pytest.mark.parametrize("attack", BREAKING)
@pytest.mark.parametrize("name", MEANS)
def test_a_mean_breaks(name: str, attack: str) -> None:
    """The counterpart: the attacks are real, few hostile updates are enough."""
    attacked = situation(attack, 20, 4)
    assert attacked.error(built(name, 4)) > 1
    if name == "FedAvg":
        assert attacked.error(built(name, 4)) > 1.8 * attacked.spread


@pytest.mark.parametrize("attack", SITUATIONS)
@pytest.mark.parametrize("name", MEANS)
def test_one_hostile_update_of_three_leads_a_mean_farther_than_a_median(name: str, attack: str) -> None:
    attacked = situation(attack, 3, 1)
    median = built("median", 1)
    quiet = attack in {
        "little_is_enough",
        "little_is_enough_z",
        "one_coordinate",
    }  # one of three cannot be told from the honest two
    assert quiet or attacked.error(built(name, 1)) > attacked.error(median)


@pytest.mark.parametrize("name", ROBUST)
def test_beyond_the_bound_colluders_win(name: str) -> None:
    strategy = built(name, stood(name, 20))
    assert stood(name, 20) < BREAKS_AT[name]
    assert situation("colluders", 20, BREAKS_AT[name]).error(strategy) > 1
    assert situation("colluders", 20, BREAKS_AT[name] - 1).error(strategy) < 1


def test_every_strategy_of_the_registry_is_in_the_matrix() -> None:
    assert set(ROBUST) == set(FACTOR) == set(BREAKS_AT)
    assert set(ATTACKS) < set(SITUATIONS)
    assert all(fewest(name) >= built(name, 1).minimum() for name in STRATEGIES)


class TestClaimedSamples:
    def test_a_billion_samples_buy_a_sum_by_samples(self) -> None:
        assert situation("billion_samples", 20, 1).error(built("FedAvg", 1)) > 1.9

    def test_capped_weights_leave_two_ordinary_shares(self) -> None:
        """One update of twenty, twice the mean weight: 2 / 21 of the sum, and the opposite of the mean is 2 away."""
        error = situation("billion_samples", 20, 1).error(built("FedAvg", 1), weighting="capped")
        assert 2 * 2 / 21 * 0.8 < error < 2 * 2 / 21 * 1.2

    @pytest.mark.parametrize("name", ROBUST)
    def test_robust_strategies_do_not_look_at_them(self, name: str) -> None:
        attacked = situation("billion_samples", 20, 4)
        by_samples, equal = (aggregate(built(name, 4), attacked.cohort(how)).update for how in ("samples", "equal"))
        assert (by_samples == equal).all()


class TestSmallUpdates:
    """Whole models are submitted, updates are of the size of float32's steps at such weights."""

    def test_distances_in_float32_would_not_see_them(self) -> None:
        """The fault of peers that compute |u|^2 + |v|^2 - 2 uv of float32 models: one step of the squared norm is far
        longer than the largest squared distance."""
        attacked = small_updates(9, 3)
        squared_norm = np.float32(np.square(large_weights(attacked.honest.shape[1]) / SCALE).sum())
        everybody = np.concatenate((attacked.hostile, attacked.honest)) / SCALE
        largest = max(float(np.square(one - everybody).sum(axis=1).max()) for one in everybody)
        assert largest < 1e-4 * np.spacing(squared_norm)

    def test_ours_chooses_an_honest_one(self) -> None:
        attacked = small_updates(9, 3)
        chosen = aggregate(Krum(3), attacked.cohort()).update
        assert any((chosen == update).all() for update in attacked.honest)

    @pytest.mark.parametrize("name", ROBUST)
    def test_the_scale_of_updates_makes_no_difference(self, name: str) -> None:
        hostile = stood(name, 20)
        usual, small = (
            situation(attack, 20, hostile).error(built(name, hostile)) for attack in ("sign_flip", "small_updates")
        )
        assert small == pytest.approx(usual, rel=0.05, abs=0.02)


class TestLittleIsEnough:
    @pytest.mark.parametrize(
        ("count", "hostile", "share"), [(50, 24, 24 / 26), (20, 4, 9 / 16), (20, 9, 9 / 11), (3, 1, 1 / 2)]
    )
    def test_z_is_the_one_of_the_paper(self, count: int, hostile: int, share: float) -> None:
        """(n - f - s) / (n - f) of the honest lie below z; Phi by its own integral."""
        z = largest_z(count, hostile)
        grid = np.linspace(-12, z, 200_001)
        density = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi)
        assert np.trapezoid(density, grid) == pytest.approx(share, abs=1e-6)

    def test_a_majority_needs_nobody(self) -> None:
        assert largest_z(20, 11) == 0

    def test_near_one_half_it_moves_a_median_farther_than_an_honest_update_lies(self) -> None:
        attacked = situation("little_is_enough_z", 23, 11)
        for name in ("median", "geometric_median"):
            assert attacked.error(built(name, 11)) > attacked.spread


class TestAnomalyScores:
    @pytest.mark.parametrize(
        "attack", sorted(set(ATTACKS) - {"little_is_enough", "little_is_enough_z", "one_coordinate"})
    )
    def test_a_minority_that_is_unlike_the_others_stands_out(self, attack: str) -> None:
        found = scores(measure(situation(attack, 20, 4).cohort()))
        assert [score.score > 1 for score in found] == [True] * 4 + [False] * 16

    @pytest.mark.parametrize("attack", ["little_is_enough", "little_is_enough_z", "one_coordinate"])
    def test_one_that_hides_among_them_does_not(self, attack: str) -> None:
        assert all(score.score < 1 for score in scores(measure(situation(attack, 20, 4).cohort())))


class TestTraining:
    def test_the_same_seed_gives_the_same_updates(self) -> None:
        assert (updates(3, 1) == updates(3, 1)).all()
        assert (updates(3, 1, seed=1) != updates(3, 1)).any()

    def test_flipped_labels_change_the_hostile_updates_alone(self) -> None:
        honest, attacked = updates(3, 0), updates(3, 1)
        assert (honest[1:] == attacked[1:]).all()
        assert (honest[0] != attacked[0]).any()

    def test_every_label_is_flipped(self) -> None:
        labels = np.arange(9, dtype=np.int8)
        assert (flipped(labels) != labels).all()
        assert ((flipped(labels) == 0) == (labels != 0)).all()

    @pytest.mark.parametrize("name", ["trimmed_mean", "centered_clipping", "geometric_median", "multi_krum"])
    def test_a_robust_federation_learns_all_the_same(self, name: str) -> None:
        assert f1_after_training(built(name, 4), hostile=4, boost=10) > 0.9

    def test_where_data_differ_a_distance_cannot_tell_many_hostile_from_honest(self) -> None:
        """The documented limit: who flips labels is nearer to each other than organisations that met other families."""
        attacked = situation("label_flip", 20, 8)
        assert min(aggregate(Krum(8), attacked.cohort()).left_out.keys() ^ set(range(20))) < 8
        assert len(aggregate(MultiKrum(8), attacked.cohort()).left_out.keys() & set(range(8))) < 4
        assert f1_after_training(Krum(8), hostile=8) < 0.5

    def test_a_mean_does_not(self) -> None:
        assert f1_after_training(built("FedAvg", 4), hostile=4, boost=10) < 0.7
        assert f1_after_training(built("FedAvg", 4), hostile=0) > 0.9


def test_an_honest_round_has_no_error_beyond_rounding() -> None:
    honest = honest_updates(20)
    quiet = Situation(honest[:0], honest)
    means: list[Strategy] = [built(name, 0) for name in MEANS]
    assert all(quiet.error(strategy) < 1e-4 for strategy in means)
