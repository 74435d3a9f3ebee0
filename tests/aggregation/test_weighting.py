"""Weights: exact integers, nobody above the cap, no overflow."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.aggregation.engine import aggregate
from federation.aggregation.errors import CohortInvalid, MethodInvalid, WeightOverflow
from federation.aggregation.fedavg import FedAvg
from federation.aggregation.fixed_point import MAX_TOTAL_WEIGHT
from federation.aggregation.weighting import weights
from tests.aggregation.cohorts import cohort

counts = st.lists(st.integers(1, 10**7), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("samples", "how", "expected"),
    [
        ([1024, 2048], "samples", [1, 2]),
        ([5, 7, 9], "equal", [1, 1, 1]),
        ([1, 1, 1, 1, 10**9], "capped", [1, 1, 1, 1, 2]),
        ([10, 11, 12], "capped", [10, 11, 12]),
        ([1, 3, 9, 27, 81], "capped", [1, 3, 4, 4, 4]),
        ([1, 100], "capped", [1, 100]),
        ([3, 3, 4, 100], "capped", [3, 3, 4, 6]),
    ],
)
def test_known_examples(samples: list[int], how: str, expected: list[int]) -> None:
    assert weights(samples, how).tolist() == expected


@given(counts)
def test_samples_keep_their_ratios(samples: list[int]) -> None:
    given_weights = weights(samples, "samples").tolist()
    total = sum(samples)
    assert [Fraction(w, sum(given_weights)) for w in given_weights] == [Fraction(s, total) for s in samples]
    assert math.gcd(*given_weights) == 1


@given(counts)
def test_nobody_exceeds_twice_the_mean_of_the_uncapped(samples: list[int]) -> None:
    result = weights(samples, "capped")
    scale = Fraction(min(samples), int(result.min()))  # the smallest is never capped
    restored = [scale * w for w in result.tolist()]
    uncapped = [s for s, w in zip(samples, restored, strict=True) if w == s]
    assert uncapped
    for before, after in zip(samples, restored, strict=True):
        assert after <= 2 * Fraction(sum(uncapped), len(uncapped))
        assert after <= 2 * Fraction(sum(samples), len(samples))
        assert after <= before


@given(counts, st.integers(0, 29))
def test_order_of_the_cap_follows_the_organisations(samples: list[int], turn: int) -> None:
    turn %= len(samples)
    rolled = samples[turn:] + samples[:turn]
    expected = weights(samples, "capped").tolist()
    assert weights(rolled, "capped").tolist() == expected[turn:] + expected[:turn]


def test_an_unknown_weighting_is_refused_with_the_choice() -> None:
    with pytest.raises(MethodInvalid, match=r"samples \| equal \| capped"):
        weights([1], "loudest")


@pytest.mark.parametrize("samples", [[], [0], [5, -1]])
def test_no_samples_no_weight(samples: list[int]) -> None:
    with pytest.raises(CohortInvalid):
        weights(samples, "equal")


def test_a_total_that_could_overflow_is_refused_and_the_last_that_cannot_is_exact() -> None:
    first = (MAX_TOTAL_WEIGHT - 1) // 2
    fitting = weights([first, MAX_TOTAL_WEIGHT - first], "samples")
    for extreme in (-(2**31), 2**31 - 1):
        assert aggregate(FedAvg(), cohort([[extreme], [extreme]], fitting.tolist())).update[0] == extreme
    with pytest.raises(WeightOverflow) as caught:
        weights([first + 2, MAX_TOTAL_WEIGHT - first], "samples")
    assert caught.value.status == 422
    assert caught.value.fields["limit"] == MAX_TOTAL_WEIGHT


def test_the_mean_itself_refuses_what_could_overflow() -> None:
    of = cohort([[2**31 - 1]] * 2, [2**31, 2**31])
    with pytest.raises(WeightOverflow, match="equally"):
        aggregate(FedAvg(), of)


def test_weights_are_int64() -> None:
    assert weights([1, 2], "capped").dtype == np.int64
