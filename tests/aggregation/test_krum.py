"""Krum's choice, and the exact distances it stands on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from federation.aggregation.blocks import WIDTH
from federation.aggregation.cohort import Cohort
from federation.aggregation.engine import aggregate, measure
from federation.aggregation.gram import squared_distances
from federation.aggregation.krum import Krum
from tests.aggregation.cohorts import cohort, cohorts


def chosen(result: object, count: int) -> list[int]:
    return [index for index in range(count) if index not in result.left_out]  # type: ignore[attr-defined]


@given(cohorts(smallest=1, largest=5))
def test_inner_products_and_distances_are_exact(drawn: Cohort) -> None:
    vectors = [update[:].tolist() for update in drawn.updates]
    products = [[sum(a * b for a, b in zip(u, v, strict=True)) for v in vectors] for u in vectors]
    distances = [[sum((a - b) ** 2 for a, b in zip(u, v, strict=True)) for v in vectors] for u in vectors]
    assert measure(drawn).tolist() == products
    assert squared_distances(measure(drawn)).tolist() == distances


@pytest.mark.parametrize("extreme", [2**20, 2**20 + 1, 2**21 + 1, 2**22, 2**22 + 1, 2**27, 2**31 - 1])
def test_full_blocks_of_extremes_stay_exact(extreme: int) -> None:
    """The largest sums that a block can hold, on either side of the split into halves."""
    size = 3 * WIDTH + 1
    updates = [np.full(size, value, dtype=np.int32) for value in (extreme, -extreme, extreme - 1)]
    products = measure(cohort(updates))
    assert products.tolist() == [
        [size * a * b for b in (extreme, -extreme, extreme - 1)] for a in (extreme, -extreme, extreme - 1)
    ]
    assert squared_distances(products)[0, 1] == size * (2 * extreme) ** 2


@pytest.mark.parametrize("bits", [19, 20, 21, 22, 24, 27, 31])
def test_no_bit_is_lost_whatever_the_size_of_the_values(bits: int) -> None:
    rng = np.random.default_rng(bits)
    size = WIDTH + 100
    updates = [rng.integers(2 ** (bits - 1), 2**bits, size, dtype=np.int64).astype(np.int32) | 1 for _ in range(2)]
    exact = [[sum(a * b for a, b in zip(u.tolist(), v.tolist(), strict=True)) for v in updates] for u in updates]
    products = measure(cohort(updates))
    assert products.tolist() == exact
    apart = sum((a - b) ** 2 for a, b in zip(updates[0].tolist(), updates[1].tolist(), strict=True))
    assert squared_distances(products)[0, 1] == apart


def test_sums_survive_more_blocks_than_an_int64_holds() -> None:
    """2^52 a block: beyond 2048 blocks only the carry keeps the sum right."""
    size = 2100 * WIDTH
    update = np.full(size, 2**20, dtype=np.int32)
    assert measure(cohort([update])).item() == size * 2**40


@given(cohorts(smallest=2, largest=5))
def test_inner_products_of_ranges_add_up(drawn: Cohort) -> None:
    middle = drawn.size // 2
    parts = [measure(drawn, span) for span in (slice(0, middle), slice(middle, drawn.size)) if span.start < span.stop]
    assert np.sum(parts, axis=0).tolist() == measure(drawn).tolist()


def test_small_differences_decide_although_a_hostile_coordinate_is_huge() -> None:
    """Honest updates of a few units; one hostile update holds the bound in one coordinate, another hides beside them.

    Whoever shifts all values until the huge one fits sees five equal updates and lets the digest decide.
    """
    rng = np.random.default_rng(11)
    honest = [rng.integers(-2, 3, 500) for _ in range(5)]
    hiding = np.full(500, 40)
    huge = np.zeros(500, dtype=np.int64)
    huge[0] = 2**27
    result = aggregate(Krum(byzantine=2), cohort([hiding, huge, *honest]))
    assert chosen(result, 7)[0] >= 2


def test_updates_that_are_small_against_the_weights_are_told_apart() -> None:
    """Deltas of one unit on weights of 2^30: the common part cancels exactly, where float32 would see no difference."""
    common = 2**30
    honest = [[common, common + 1], [common + 1, common], [common, common], [common + 1, common + 1]]
    hostile = [common + 40, common - 40]
    assert np.float32(common) == np.float32(common + 40)
    result = aggregate(Krum(1), cohort([hostile, *honest]))
    assert 0 in result.left_out
    assert squared_distances(measure(cohort([*honest, hostile])))[0, 4] == 40**2 + 41**2


def test_equal_scores_are_decided_by_the_digest() -> None:
    square = [[0, 0], [0, 1], [1, 0], [1, 1]]
    of = cohort([*square, *square])
    result = aggregate(Krum(1), of)
    lowest = min(range(8), key=lambda index: of.digests[index])
    assert of.digests[chosen(result, 8)[0]] == of.digests[lowest]


def test_all_but_one_are_left_out_with_a_reason() -> None:
    result = aggregate(Krum(1), cohort([[0], [1], [2], [3], [1000]]))
    assert len(result.left_out) == 4
    assert 4 in result.left_out
    assert all(reason and len(reason) <= 200 for reason in result.left_out.values())
