"""Every strategy against its formula in Python's exact integers, and against the order of arrival."""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.aggregation.blocks import WIDTH
from federation.aggregation.bulyan import Bulyan
from federation.aggregation.centered_clipping import CenteredClipping
from federation.aggregation.cohort import Cohort
from federation.aggregation.engine import aggregate
from federation.aggregation.errors import TooFewUpdates
from federation.aggregation.fedavg import FedAvg
from federation.aggregation.fedprox import FedProx
from federation.aggregation.geometric_median import GeometricMedian
from federation.aggregation.krum import Krum
from federation.aggregation.median import Median
from federation.aggregation.multi_krum import MultiKrum
from federation.aggregation.norm_bounding import NormBounding
from federation.aggregation.strategy import Strategy
from federation.aggregation.trimmed_mean import TrimmedMean
from tests.aggregation.cohorts import cohort, cohorts, half_up, shuffled

COORDINATE_WISE = (FedAvg(), FedProx(10_000), FedProx(999_983), Median(), TrimmedMean(), TrimmedMean(499_999))
EVERY = (
    *COORDINATE_WISE,
    Krum(1),
    MultiKrum(1),
    MultiKrum(1, keep=2),
    NormBounding(),
    NormBounding(1_000_000),
    CenteredClipping(),
    CenteredClipping(1_000_000, iterations=3),
    GeometricMedian(),
    Bulyan(1),
)


def columns(of: Cohort) -> list[list[int]]:
    return [[int(update[d : d + 1].item()) for update in of.updates] for d in range(of.size)]


def mean(of: Cohort) -> list[int]:
    weights = of.weights.tolist()
    return [
        half_up(Fraction(sum(w * v for w, v in zip(weights, values, strict=True)), sum(weights)))
        for values in columns(of)
    ]


def pulled(of: Cohort, lambda_ppm: int) -> list[int]:
    return [value - half_up(Fraction(lambda_ppm * value, 10**6)) for value in mean(of)]


def median(of: Cohort) -> list[int]:
    low, high = (of.count - 1) // 2, of.count // 2
    return [half_up(Fraction(sorted(values)[low] + sorted(values)[high], 2)) for values in columns(of)]


def trimmed(of: Cohort, trim_ppm: int) -> list[int]:
    cut = max(1, math.floor(Fraction(of.count * trim_ppm, 10**6)))
    kept = [sorted(values)[cut : of.count - cut] for values in columns(of)]
    return [half_up(Fraction(sum(values), len(values))) for values in kept]


def krum(of: Cohort, byzantine: int) -> list[int]:
    vectors: list[list[int]] = [update[:].tolist() for update in of.updates]

    def score(i: int) -> int:
        distances = sorted(
            sum((a - b) ** 2 for a, b in zip(vectors[i], vectors[j], strict=True)) for j in range(of.count) if j != i
        )
        return sum(distances[: of.count - byzantine - 2])

    return vectors[min(range(of.count), key=lambda i: (score(i), of.digests[i]))]


@given(cohorts())
def test_the_formula_holds_exactly(drawn: Cohort) -> None:
    assert aggregate(FedAvg(), drawn).update.tolist() == mean(drawn)
    for lambda_ppm in (0, 10_000, 999_983, 10**6):
        assert aggregate(FedProx(lambda_ppm), drawn).update.tolist() == pulled(drawn, lambda_ppm)
    assert aggregate(Median(), drawn).update.tolist() == median(drawn)
    for trim_ppm in (1, 200_000, 499_999):
        assert aggregate(TrimmedMean(trim_ppm), drawn).update.tolist() == trimmed(drawn, trim_ppm)
    assert aggregate(Krum(1), drawn).update.tolist() == krum(drawn, 1)


@given(cohorts(smallest=7), st.randoms(use_true_random=False))
def test_one_hash_in_any_order(drawn: Cohort, random: object) -> None:
    order = list(range(drawn.count))
    random.shuffle(order)  # type: ignore[attr-defined]
    again = shuffled(drawn, order)
    for strategy in (*EVERY, Krum(2), MultiKrum(2)):
        first, second = aggregate(strategy, drawn), aggregate(strategy, again)
        assert digest(first.update) == digest(second.update)
        assert sorted(drawn.digests[i] for i in first.left_out) == sorted(again.digests[i] for i in second.left_out)


def digest(update: np.ndarray) -> str:
    return hashlib.sha256(update.tobytes()).hexdigest()


@pytest.mark.parametrize("strategy", EVERY, ids=repr)
def test_blocks_and_memory_maps_change_nothing(strategy: Strategy, tmp_path: Path) -> None:
    """Sizes around the width of a block; the long vector equals its pieces; files on disk equal arrays in memory."""
    rng = np.random.default_rng(5)
    size = 2 * WIDTH + 3
    vectors = [rng.integers(-(2**27), 2**27, size, dtype=np.int32) for _ in range(7)]
    of = cohort(vectors, [3, 1, 4, 1, 5, 9, 2])
    whole = aggregate(strategy, of).update
    mapped = []
    for index, vector in enumerate(vectors):
        path = tmp_path / f"{index}.bin"
        path.write_bytes(vector.tobytes())
        mapped.append(np.memmap(path, dtype=np.int32, mode="r"))
    assert np.array_equal(aggregate(strategy, Cohort(mapped, of.weights, of.digests)).update, whole)
    if strategy in COORDINATE_WISE:
        pieces = [
            aggregate(strategy, cohort([vector[part] for vector in vectors], of.weights.tolist())).update
            for part in (slice(0, 1), slice(1, WIDTH), slice(WIDTH, size))
        ]
        assert np.array_equal(np.concatenate(pieces), whole)


def test_the_result_is_a_fresh_array() -> None:
    """Writing into an aggregate must not change what was submitted."""
    for strategy in EVERY:
        of = cohort([[5, 6]] * 7)
        aggregate(strategy, of).update[:] = 0
        assert all(update[:].tolist() == [5, 6] for update in of.updates)


@pytest.mark.parametrize(
    ("strategy", "updates", "weights", "expected"),
    [
        pytest.param(FedAvg(), [[10], [20]], [1, 3], [18], id="17.5 rounds up"),
        pytest.param(FedAvg(), [[-10], [-20]], [1, 3], [-17], id="-17.5 rounds up"),
        pytest.param(FedAvg(), [[7]], [9], [7], id="a mean of one"),
        pytest.param(FedProx(10_000), [[1000], [1000]], [1, 1], [990], id="lambda 0.01"),
        pytest.param(FedProx(500_000), [[5]], [1], [2], id="the pull of 2.5 rounds up to 3"),
        pytest.param(FedProx(500_000), [[-5]], [1], [-3], id="the pull of -2.5 rounds up to -2"),
        pytest.param(FedProx(1_000_000), [[123]], [1], [0], id="lambda 1 stands still"),
        pytest.param(Median(), [[1], [2], [9]], [1, 1, 1000], [2], id="weights do not count"),
        pytest.param(Median(), [[1], [2], [3], [9]], None, [3], id="even: 2.5 rounds up"),
        pytest.param(Median(), [[-1], [-2], [-3], [-9]], None, [-2], id="even: -2.5 rounds up"),
        pytest.param(Median(), [[2**31 - 1]] * 4, None, [2**31 - 1], id="the middle of extremes does not overflow"),
        pytest.param(TrimmedMean(), [[0], [1], [2], [3], [100]], None, [2], id="one of five off either end"),
        pytest.param(TrimmedMean(1), [[0], [7], [100]], None, [7], id="never less than one off either end"),
        pytest.param(TrimmedMean(400_000), [[0], [1], [5], [6], [9]], None, [5], id="two of five off either end"),
    ],
)
def test_known_examples(
    strategy: Strategy, updates: list[list[int]], weights: list[int] | None, expected: list[int]
) -> None:
    assert aggregate(strategy, cohort(updates, weights)).update.tolist() == expected


@pytest.mark.parametrize("strategy", [Median(), TrimmedMean(), Krum(1), MultiKrum(1)], ids=repr)
@pytest.mark.parametrize("hostile", [-(2**27), 2**27], ids=["lowest", "highest"])
def test_an_outlier_is_bounded(strategy: Strategy, hostile: int) -> None:
    """One hostile update of five, however large, leaves every coordinate within the honest values."""
    honest = [[100, -50], [110, -40], [90, -60], [105, -45]]
    result = aggregate(strategy, cohort([*honest, [hostile, hostile]], [1, 1, 1, 1, 10**6])).update
    for d in range(2):
        assert min(update[d] for update in honest) <= result[d] <= max(update[d] for update in honest)


def test_the_mean_is_not_bounded() -> None:
    """The counterpart: the outlier tests can fail."""
    honest = [[100], [110], [90], [105]]
    assert aggregate(FedAvg(), cohort([*honest, [2**27]])).update[0] > 10**6


@pytest.mark.parametrize(
    "strategy",
    [
        Median(),
        TrimmedMean(),
        Krum(1),
        Krum(4),
        MultiKrum(1),
        MultiKrum(4),
        MultiKrum(2, keep=9),
        NormBounding(),
        CenteredClipping(),
        GeometricMedian(),
        Bulyan(1),
        Bulyan(3),
    ],
    ids=repr,
)
def test_too_few_updates_are_refused(strategy: Strategy) -> None:
    too_few = cohort([[1]] * (strategy.minimum() - 1))
    with pytest.raises(TooFewUpdates) as caught:
        aggregate(strategy, too_few)
    problem = caught.value.as_problem()
    assert (problem["status"], problem["code"]) == (409, "too_few_updates")
    assert problem["minimum"] == strategy.minimum()
    assert "choose" in problem["action"]
    aggregate(strategy, cohort([[1]] * strategy.minimum()))
