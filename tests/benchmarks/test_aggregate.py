"""What `make bench ONLY=aggregate` and `ONLY=faults` measure, without a peer and small."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import aggregate, faults
from benchmarks.aggregate import CASES, MEMORY, OTHER_CASES, OTHER_SIZES, TARGET_SIZE, Inputs, Size, peaks
from federation.aggregation import registry
from models_ml.fixed_point import SCALE

SMALL = Size("50x1e3", 50, 1000, byzantine=10)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_is_a_strategy_that_takes_its_cohorts(case: aggregate.Case) -> None:
    sizes = [TARGET_SIZE, *(OTHER_SIZES if case.name in OTHER_CASES else ())]
    for size in sizes:
        strategy = registry.build(case.method, case.params(size))
        strategy.require(size.count)
        assert getattr(strategy, "byzantine", size.byzantine) == size.byzantine
    ours, peer = peaks(case, SMALL, with_peer=False)
    assert ours > SMALL.size * 4 / 1e6
    assert peer is None


def test_every_strategy_is_measured_once() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    # FedProx combines as FedAvg does.
    expected = {*registry.ROBUST_METHODS, *(name.lower() for name in registry.MEANS)} - {"fedprox"}
    assert set(names) == expected
    assert {name for name, _ in MEMORY} == expected


def test_the_peer_gets_the_same_values() -> None:
    inputs = Inputs.drawn(SMALL)
    for update, model in zip(inputs.updates, inputs.models(), strict=True):
        assert model.dtype == np.float32
        assert (model.astype(np.float64) * SCALE == update).all()
    assert 0.009 < float(np.std(inputs.models())) < 0.011


def test_memory_is_the_most_at_a_time() -> None:
    def call() -> None:
        for _ in range(3):
            np.zeros(10**6, dtype=np.int8)

    assert 1.0 <= aggregate.peak_megabytes(call) < 1.1


def test_a_refused_update_is_not_in_the_cohort() -> None:
    updates = [np.full(3, value, dtype=np.float32) for value in (0.5, np.nan, 1.0)]
    assert [update[:].tolist() for update in faults.cohort_of(updates).updates] == [[SCALE // 2] * 3, [SCALE] * 3]


def test_an_update_that_is_not_finite_counts_as_a_fault_only_if_it_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    updates = [np.full(3, value, dtype=np.float32) for value in (0.5, 0.25, np.nan, 1.0, 0.75, 0.625, 0.375)]
    assert not faults.nan_counts(updates, 2)
    monkeypatch.setattr(faults, "quantise", lambda values: np.rint(np.nan_to_num(values) * SCALE).astype(np.int32))
    assert faults.nan_counts(updates, 2)


def test_the_exact_choice_is_krums() -> None:
    updates = [np.array([value]) for value in (0.0, 5.0, 1.0, 0.875, 1.25)]
    # f = 1 of 5: two nearest others; of 1.0 they are 0.875 and 1.25.
    assert faults.exact_choice(updates) == faults.our_choice(updates) == 2
