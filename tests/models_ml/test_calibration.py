"""Thresholds of families from held-out records: few false alarms, rare families found, no attack needed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_ml.calibration import UNCALIBRATED, calibrate
from models_ml.families import BENIGN, FAMILIES, UNLABELLED

SCAN, C2 = FAMILIES.index("Scan"), FAMILIES.index("C2")


def probabilities(rng: np.random.Generator, count: int, **raised: float) -> npt.NDArray[np.float32]:
    """Mostly benign rows, with more for the named families."""
    scores = rng.normal(size=(count, len(FAMILIES)))
    scores[:, BENIGN] += 6
    for name, by in raised.items():
        scores[:, FAMILIES.index(name)] += by
    each = np.exp(scores)
    return np.asarray(each / each.sum(axis=1, keepdims=True), dtype=np.float32)


@given(st.integers(0, 2**32), st.integers(1, 400))
@settings(max_examples=40, deadline=None)
def test_at_most_one_in_a_hundred_benign_records_held_out_is_alarmed(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    held = probabilities(rng, count, Scan=rng.uniform(0, 8))
    if seed % 2:
        held = held.round(1)

    family, score = calibrate(held, np.zeros(count, dtype=np.int8)).decide(held)

    assert (family != BENIGN).sum() <= 0.01 * count
    np.testing.assert_array_equal(score >= 0.5, family != BENIGN)


def test_a_rare_family_is_found_that_is_never_the_most_probable() -> None:
    rng = np.random.default_rng(0)
    attacks = probabilities(rng, 200, Scan=5)
    assert (attacks.argmax(axis=1) == BENIGN).mean() > 0.7

    family, score = calibrate(probabilities(rng, 5000), np.zeros(5000, dtype=np.int8)).decide(attacks)

    assert (family == SCAN).mean() > 0.7
    assert score[family == SCAN].min() >= 0.5


def test_a_family_that_was_held_out_moves_its_own_threshold_away_from_benign_records() -> None:
    rng = np.random.default_rng(1)
    benign, attacks = probabilities(rng, 2000), probabilities(rng, 100, Scan=12)
    labels = np.repeat([BENIGN, SCAN, UNLABELLED], [2000, 100, 100])

    alone = calibrate(benign, labels[:2000])
    both = calibrate(np.concatenate((benign, attacks, attacks)), labels)

    assert both.thresholds[SCAN] > alone.thresholds[SCAN] + 2
    assert both.thresholds[C2] == alone.thresholds[C2]
    assert (both.decide(attacks)[0] == SCAN).mean() > 0.9
    assert (both.decide(probabilities(rng, 20_000))[0] != BENIGN).mean() < (
        alone.decide(probabilities(rng, 20_000))[0] != BENIGN
    ).mean()


def test_the_score_orders_records_and_is_steeper_where_held_out_attacks_stand_apart() -> None:
    rng = np.random.default_rng(2)
    benign, attacks = probabilities(rng, 2000), probabilities(rng, 100, Scan=12)
    calibration = calibrate(np.concatenate((benign, attacks)), np.repeat([BENIGN, SCAN], [2000, 100]))

    scores = calibration.decide(np.array([benign[0], attacks[0]]))[1]

    assert scores[0] < 0.5 < scores[1]
    assert calibration.slope != calibrate(benign, np.zeros(2000, dtype=np.int8)).slope == 1.0


@pytest.mark.parametrize("labels", [[], [SCAN], [UNLABELLED, UNLABELLED]])
def test_without_benign_records_even_odds_decide(labels: list[int]) -> None:
    held = probabilities(np.random.default_rng(3), len(labels))

    assert calibrate(held, np.array(labels, dtype=np.int8)) is UNCALIBRATED
    certain = np.zeros((1, len(FAMILIES)), dtype=np.float32)
    certain[0, C2] = 1
    assert UNCALIBRATED.decide(certain)[0].tolist() == [C2]
    assert UNCALIBRATED.decide(np.eye(len(FAMILIES), dtype=np.float32)[:1])[0].tolist() == [BENIGN]


def test_no_records_need_no_decision() -> None:
    family, score = UNCALIBRATED.decide(np.empty((0, len(FAMILIES)), dtype=np.float32))

    assert len(family) == len(score) == 0


def test_an_alarm_is_named_by_the_most_probable_family_not_by_the_rarest() -> None:
    rng = np.random.default_rng(2)
    calibration = calibrate(probabilities(rng, 5000, C2=-4), np.zeros(5000, dtype=np.int8))
    assert calibration.thresholds[C2] < calibration.thresholds[SCAN]
    likely = np.full((1, len(FAMILIES)), 0.001)
    likely[0, [BENIGN, C2, SCAN]] = 0.3, 0.1, 0.594
    family, score = calibration.decide(likely)
    assert family[0] == SCAN
    assert score[0] >= 0.5
