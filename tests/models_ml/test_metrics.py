from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models_ml import metrics
from models_ml.families import FAMILIES

# scores on a coarse grid, so that ties occur; at least one attack and one benign record
SAMPLES = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60).filter(
    lambda sample: len({attack for _, attack in sample}) == 2
)


def arrays(sample: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    scores, attack = zip(*sample, strict=True)
    return np.array(scores) / 6, np.array(attack)


@given(SAMPLES)
def test_auc_is_the_mann_whitney_statistic(sample: list[tuple[int, bool]]) -> None:
    scores, attack = arrays(sample)
    u = stats.mannwhitneyu(scores[attack], scores[~attack]).statistic
    assert metrics.auc(scores, attack) == pytest.approx(u / (attack.sum() * (~attack).sum()))


@given(SAMPLES)
def test_average_precision_is_the_sum_over_thresholds(sample: list[tuple[int, bool]]) -> None:
    scores, attack = arrays(sample)
    expected = last_recall = 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        decided = scores >= threshold
        recall = (decided & attack).sum() / attack.sum()
        expected += (recall - last_recall) * (decided & attack).sum() / decided.sum()
        last_recall = recall
    assert metrics.average_precision(scores, attack) == pytest.approx(expected)


@given(SAMPLES, st.sampled_from((0.5, 0.95, 1.0)))
def test_fpr_at_tpr_is_the_best_threshold_that_finds_enough(sample: list[tuple[int, bool]], tpr: float) -> None:
    scores, attack = arrays(sample)
    enough = [
        (scores[~attack] >= threshold).mean()
        for threshold in set(scores.tolist())
        if (scores[attack] >= threshold).sum() >= tpr * attack.sum()
    ]
    assert metrics.fpr_at_tpr(scores, attack, tpr) == pytest.approx(min(enough))


@given(SAMPLES, st.sampled_from((0.001, 0.1, 0.5)))
def test_recall_at_fpr_is_the_best_threshold_that_is_quiet_enough(sample: list[tuple[int, bool]], fpr: float) -> None:
    scores, attack = arrays(sample)
    found = [0.0] + [
        (scores[attack] >= threshold).mean()
        for threshold in set(scores.tolist())
        if (scores[~attack] >= threshold).sum() <= fpr * (~attack).sum()
    ]
    assert metrics.recall_at_fpr(scores, attack, fpr) == pytest.approx(max(found))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_macro_f1_is_the_mean_of_both_harmonic_means(pairs: list[tuple[bool, bool]]) -> None:
    decided, truth = (np.array(column) for column in zip(*pairs, strict=True))
    expected = []
    for value in (True, False):
        said, was = decided == value, truth == value
        hits = (said & was).sum()
        precision = hits / said.sum() if said.any() else 0
        recall = hits / was.sum() if was.any() else 0
        expected.append(2 * precision * recall / (precision + recall) if hits else 0)
    assert metrics.macro_binary_f1(decided, truth) == pytest.approx(np.mean(expected))


def test_everything_is_an_attack_is_no_good_answer() -> None:
    truth = np.array([True] * 70 + [False] * 30)
    assert metrics.macro_binary_f1(np.ones(100, dtype=bool), truth) == pytest.approx(0.5 * 140 / 170)


@given(SAMPLES)
def test_the_quadratic_score_weighs_both_classes_the_same(sample: list[tuple[int, bool]]) -> None:
    scores, attack = arrays(sample)
    expected = 1 - (np.mean((1 - scores[attack]) ** 2) + np.mean(scores[~attack] ** 2)) / 2
    assert metrics.quadratic_score(scores, attack) == pytest.approx(expected)


def test_the_quadratic_score_exists_for_one_class() -> None:
    assert metrics.quadratic_score(np.array([0.0, 0.5]), np.array([False, False])) == pytest.approx(1 - 0.125)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=300), st.sampled_from((0.0, 0.01, 0.1, 0.5)))
def test_a_calibrated_threshold_keeps_false_alarms_within_the_bound(values: list[int], max_fpr: float) -> None:
    scores = np.array(values) / 20
    threshold = metrics.calibrated_threshold(scores, max_fpr)
    assert threshold <= 0.5
    if threshold < 0.5:
        assert (scores >= threshold).mean() <= max_fpr
        lower = scores[scores < threshold]
        assert (scores >= lower.max()).mean() > max_fpr


def test_calibration_at_the_edges() -> None:
    assert metrics.calibrated_threshold(np.array([])) == 0.5
    assert metrics.calibrated_threshold(np.array([0.1, 0.2]), 1.0) == 0.0


def test_evaluate_reports_every_figure() -> None:
    labels = np.array([0, 0, 1, 3])
    probabilities = np.zeros((4, len(FAMILIES)))
    for row, (family, benign) in enumerate([(1, 0.9), (1, 0.4), (1, 0.2), (3, 0.7)]):
        probabilities[row, 0] = benign
        probabilities[row, family] = 1 - benign
    figures = metrics.evaluate(probabilities, labels)
    assert figures == pytest.approx(
        {
            "n": 4,
            "macro_binary_f1": 0.5,
            "accuracy": 0.5,
            "quadratic_score": 1 - ((0.04 + 0.49) / 2 + (0.01 + 0.36) / 2) / 2,
            "average_precision": 1 * 0.5 + 0.5 * 2 / 3,
            "auc": 0.75,
            "fpr_at_95_tpr": 0.5,
            "recall_at_fpr_0.1pct": 0.5,
            "recall.Benign": 0.5,
            "recall.C2": 1.0,
            "recall.Scan": 0.0,
        }
    )
    each = metrics.evaluate(probabilities, labels, np.array([0.5, 0.7, 0.5, 0.2]))
    assert each["macro_binary_f1"] == 1.0


def test_figures_that_a_sample_cannot_give_are_left_out() -> None:
    probabilities = np.zeros((3, len(FAMILIES)))
    probabilities[:, 0] = 1
    figures = metrics.evaluate(probabilities, np.zeros(3, dtype=int))
    assert figures == {"n": 3, "macro_binary_f1": 0.5, "accuracy": 1, "quadratic_score": 1, "recall.Benign": 1}


def test_small_attack_probabilities_keep_their_digits() -> None:
    probabilities = np.zeros((1, len(FAMILIES)), dtype=np.float32)
    probabilities[0, :2] = 1.0, 1e-12
    assert metrics.attack_probability(probabilities)[0] == pytest.approx(1e-12)


@given(SAMPLES)
def test_the_curves_hold_the_rates_of_every_threshold(sample: list[tuple[int, bool]]) -> None:
    scores, attack = arrays(sample)
    roc = {tuple(row) for row in metrics.roc_curve(scores, attack).tolist()}
    expected = {(0.0, 0.0)} | {
        ((scores[~attack] >= threshold).mean(), (scores[attack] >= threshold).mean()) for threshold in scores
    }
    assert roc == expected
    precision_recall = {tuple(row) for row in metrics.precision_recall_curve(scores, attack).tolist()}
    decided = [scores >= threshold for threshold in scores]
    assert precision_recall == {((which & attack).sum() / attack.sum(), attack[which].mean()) for which in decided}


def test_long_curves_are_thinned_and_keep_their_ends_and_their_area() -> None:
    rng = np.random.default_rng(1)
    attack = rng.uniform(size=20_000) < 0.3
    scores = rng.normal(size=20_000) + 1.5 * attack
    curve = metrics.roc_curve(scores, attack, points=200)
    assert len(curve) <= 202
    assert curve[0].tolist() == [0, 0]
    assert curve[-1].tolist() == [1, 1]
    assert np.trapezoid(curve[:, 1], curve[:, 0]) == pytest.approx(metrics.auc(scores, attack), abs=1e-3)
