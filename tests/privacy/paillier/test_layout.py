"""Packing: exact for every sum that it admits, and closed to every other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.paillier.errors import LayoutExceeded, PlaintextInvalid
from privacy.paillier.layout import Layout

layouts = st.builds(
    Layout,
    modulus_bits=st.sampled_from([1024, 2048, 3072]),
    bound=st.one_of(st.integers(1, 300), st.integers(1, 2**40)),
    parties_max=st.integers(1, 200),
    size=st.integers(1, 700),
)


def summed(layout: Layout, vectors: list[np.ndarray]) -> list[int]:
    return [sum(column) for column in zip(*map(layout.pack, vectors), strict=True)]


@settings(deadline=None)
@given(layout=layouts, seed=st.integers(0, 2**32), data=st.data())
def test_sums_of_packed_vectors_unpack_to_the_sums(layout: Layout, seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    parties = data.draw(st.integers(1, min(layout.parties_max, 8)))
    vectors = [rng.integers(-layout.bound, layout.bound + 1, layout.size) for _ in range(parties)]
    plaintexts = summed(layout, vectors)
    assert len(plaintexts) == layout.ciphertexts
    np.testing.assert_array_equal(layout.unpack(plaintexts, parties), np.sum(vectors, axis=0))


@pytest.mark.parametrize("sign", [1, -1])
@settings(deadline=None, max_examples=40)
@given(layout=layouts)
def test_the_extremes_of_all_parties_fit(layout: Layout, sign: int) -> None:
    one = layout.pack(np.full(layout.size, sign * layout.bound))
    total = [plaintext * layout.parties_max for plaintext in one]
    assert max(total) < 2 ** (layout.modulus_bits - 1)
    np.testing.assert_array_equal(
        layout.unpack(total, layout.parties_max), np.full(layout.size, sign * layout.bound * layout.parties_max)
    )


def test_sixteen_bits_of_ten_parties_take_twenty_bits() -> None:
    layout = Layout(modulus_bits=3072, bound=2**15 - 1, parties_max=10, size=80_000)
    assert (layout.lane_bits, layout.lanes, layout.ciphertexts) == (20, 153, 523)
    assert layout.ciphertext_bytes == 768
    assert layout.body_bytes == 523 * 768


@pytest.mark.parametrize("parties", [0, 11])
def test_more_parties_than_the_headroom_are_refused(parties: int) -> None:
    layout = Layout(1024, 100, 10, 5)
    with pytest.raises(LayoutExceeded, match="1 to 10"):
        layout.unpack(layout.pack(np.zeros(5, dtype=np.int64)), parties)


@pytest.mark.parametrize("value", [101, -101, 2**63 - 1, -(2**63)])
def test_a_value_beyond_the_bound_is_refused(value: int) -> None:
    with pytest.raises(LayoutExceeded, match="-100 to 100"):
        Layout(1024, 100, 10, 3).pack(np.array([0, value, 0]))


@pytest.mark.parametrize("values", [np.zeros(4, dtype=np.int64), np.zeros(5), np.zeros((5, 1), dtype=np.int64)])
def test_another_shape_or_type_is_refused(values: np.ndarray) -> None:
    with pytest.raises(LayoutExceeded, match="5 int64"):
        Layout(1024, 100, 10, 5).pack(values)


@pytest.mark.parametrize(
    "numbers", [(1024, 0, 1, 1), (1024, 1, 0, 1), (1024, 1, 1, 0), (1000, 1, 1, 1), (1024, 2**60, 2, 1)]
)
def test_an_impossible_layout_is_refused(numbers: tuple[int, int, int, int]) -> None:
    with pytest.raises(LayoutExceeded):
        Layout(*numbers)


def test_a_sum_that_still_carries_a_mask_is_refused() -> None:
    layout = Layout(1024, 100, 10, 300)
    plaintexts = layout.pack(np.zeros(300, dtype=np.int64))
    with pytest.raises(PlaintextInvalid) as caught:
        layout.unpack([plaintexts[0], plaintexts[1] + (1 << 1023), *plaintexts[2:]], 1)
    assert caught.value.fields == {"index": 1}


@pytest.mark.parametrize(("lane", "amount"), [(0, 101), (4, 101), (5, 1)])
def test_a_lane_that_no_honest_sum_fills_is_refused(lane: int, amount: int) -> None:
    layout = Layout(1024, 100, 10, 5)
    (plaintext,) = layout.pack(np.zeros(5, dtype=np.int64))
    with pytest.raises(PlaintextInvalid):
        layout.unpack([plaintext + (amount << lane * layout.lane_bits)], 1)


def test_another_number_of_plaintexts_is_refused() -> None:
    layout = Layout(1024, 100, 10, 300)
    with pytest.raises(PlaintextInvalid):
        layout.unpack(layout.pack(np.zeros(300, dtype=np.int64))[1:], 1)
