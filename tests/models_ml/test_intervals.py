from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models_ml.edge_stream import COLUMNS, EdgeStream
from models_ml.intervals import block_bootstrap, time_blocks, wilson
from tests.models_ml.streams import two_families


@given(st.integers(1, 400).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_the_wilson_interval_is_scipys(sample: tuple[int, int]) -> None:
    hits, trials = sample
    expected = stats.binomtest(hits, trials).proportion_ci(0.95, method="wilson")
    assert wilson(hits, trials) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert wilson(hits, trials)[0] <= hits / trials <= wilson(hits, trials)[1]


def test_without_a_trial_nothing_is_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def stream_of(captures: list[int]) -> EdgeStream:
    flows = two_families(seed=1, count=len(captures))
    columns = {name: getattr(flows, name) for name in COLUMNS} | {"capture": captures, "t": flows.t[::-1]}
    return EdgeStream.from_columns(columns, ("one", "two"))


def test_blocks_are_stretches_of_one_capture_in_order_of_time() -> None:
    stream = stream_of([0] * 70 + [1] * 30)
    blocks = time_blocks(stream, 10)
    assert sorted(np.concatenate(blocks).tolist()) == list(range(100))
    assert len(blocks) == 20
    for block in blocks:
        assert len(np.unique(stream.capture[block])) == 1
        assert (np.diff(stream.t[block]) >= 0).all()
    assert max(len(block) for block in time_blocks(stream_of([1] * 5), 10)) == 1


def test_the_bootstrap_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(3).normal(size=400)
    blocks = [np.array([index]) for index in range(400)]
    found = block_bootstrap(lambda rows: {"mean": float(values[rows].mean())}, blocks, seed=1, draws=2000)
    low, high = found["mean"]
    theory = 1.96 * values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - theory, abs=0.02)
    assert high == pytest.approx(values.mean() + theory, abs=0.02)


def test_records_that_belong_together_widen_the_interval() -> None:
    values = np.repeat(np.random.default_rng(3).normal(size=20), 20)
    alone, together = [np.array([index]) for index in range(400)], np.split(np.arange(400), 20)

    def width(blocks: list[np.ndarray]) -> float:
        low, high = block_bootstrap(lambda rows: {"mean": float(values[rows].mean())}, blocks, seed=1)["mean"]
        return high - low

    assert width(together) > 3 * width(alone)


def test_a_figure_that_many_draws_cannot_give_has_no_interval() -> None:
    blocks = [np.array([0]), np.array([1])]
    found = block_bootstrap(lambda rows: {"rare": 1.0} if rows.sum() == 0 else {"often": 1.0}, blocks, seed=1)
    assert found == {}
    assert block_bootstrap(lambda rows: {"always": 1.0}, blocks, seed=1) == {"always": (1.0, 1.0)}
