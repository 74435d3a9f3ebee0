"""A cohort holds integers that belong together, or it does not exist."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from federation.aggregation.cohort import Cohort
from federation.aggregation.errors import CohortInvalid

ONE = np.array([1, 2], dtype=np.int32)
WEIGHT = np.array([1], dtype=np.int64)


@pytest.mark.parametrize(
    ("updates", "weights", "digests"),
    [
        pytest.param([], np.array([], dtype=np.int64), [], id="empty"),
        pytest.param([np.array([1.0, np.nan])], WEIGHT, ["a"], id="floats, hence NaN"),
        pytest.param([ONE.astype(np.int64)], WEIGHT, ["a"], id="int64"),
        pytest.param([ONE.reshape(1, 2)], WEIGHT, ["a"], id="a matrix"),
        pytest.param([ONE, ONE[:1]], np.array([1, 1]), ["a", "b"], id="another length"),
        pytest.param([ONE], np.array([1.0]), ["a"], id="float weights"),
        pytest.param([ONE], np.array([0]), ["a"], id="weight zero"),
        pytest.param([ONE], np.array([-1]), ["a"], id="weight below zero"),
        pytest.param([ONE], np.array([1, 1]), ["a"], id="two weights"),
        pytest.param([ONE], WEIGHT, [], id="no digest"),
    ],
)
def test_what_does_not_fit_is_refused(updates: Any, weights: Any, digests: Any) -> None:
    with pytest.raises(CohortInvalid):
        Cohort(updates, weights, digests)


def test_what_fits_is_accepted() -> None:
    cohort = Cohort([ONE], WEIGHT, ["a"])
    assert (cohort.count, cohort.size) == (1, 2)
