"""The coordinator finds the survivors' exact sum, whoever drops out at whichever step; below the threshold nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.errors import GroupInvalid
from tests.privacy.secagg.parties import Federation

SIZE = 37


@pytest.mark.parametrize("bits", [32, 64])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_the_sum_is_exact_whoever_drops_out(bits: int, data: st.DataObject) -> None:
    federation = Federation(data.draw(st.integers(3, 12)))
    threshold = federation.group.threshold
    order = data.draw(st.permutations(federation.names))
    sharers = order[: data.draw(st.integers(threshold, len(order)))]
    survivors = sharers[: data.draw(st.integers(threshold, len(sharers)))]
    responders = survivors[: data.draw(st.integers(threshold, len(survivors)))]
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    bound = 2 ** (bits - 1) // len(order) - 1
    values = {name: generator.integers(-bound, bound, SIZE, endpoint=True) for name in order}
    found = federation.sum(values, bits, sharers=sharers, survivors=survivors, responders=responders)
    assert found.tolist() == [sum(int(values[name][at]) for name in survivors) for at in range(SIZE)]


def test_whoever_drops_out_in_set_up_is_only_left_out() -> None:
    """Of seven who advertise, one never sends shares and one shares and sends no vector; two more never unmask."""
    federation = Federation(9)
    names = federation.names
    values = {name: np.full(SIZE, -1 - number, dtype=np.int64) for number, name in enumerate(names)}
    found = federation.sum(values, 32, sharers=names[1:], survivors=names[1:8], responders=names[1:8])
    assert found.tolist() == [-sum(range(2, 9))] * SIZE


@pytest.mark.parametrize("step", ["sharers", "survivors", "responders"])
@pytest.mark.parametrize("count", [3, 4, 7, 12])
def test_fewer_than_the_threshold_refuse(count: int, step: str) -> None:
    federation = Federation(count)
    enough = federation.names[: federation.group.threshold]
    sets = {"sharers": enough, "survivors": enough, "responders": enough} | {step: enough[:-1]}
    with pytest.raises(GroupInvalid):
        federation.remaining(**sets)


def test_of_three_nobody_may_drop_out() -> None:
    federation = Federation(3)
    assert federation.group.threshold == 3
    with pytest.raises(GroupInvalid, match="3 or more"):
        federation.remaining(federation.names, federation.names[:2], federation.names[:2])


def test_sums_wrap_where_the_words_end() -> None:
    federation = Federation(3)
    values = {name: np.array([2**31 - 1, -(2**31), -1], dtype=np.int64) for name in federation.names}
    everybody = federation.names
    found = federation.sum(values, 32, sharers=everybody, survivors=everybody, responders=everybody)
    assert found.tolist() == [2**31 - 3, -(2**31), -3]
