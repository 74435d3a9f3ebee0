"""Noise on whole vectors, in shares, and the draws of a sample."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest

from privacy.dp.coins import SecretCoins
from privacy.dp.keystream import Keystream
from privacy.dp.noise import add_noise, share_of_noise
from privacy.errors import PrivacyParameterInvalid

COUNT = 200_000


@pytest.mark.parametrize("sigma", [3.0, 2.0**20, 2.0**34])
def test_noise_is_centred_on_the_values_and_as_wide_as_asked(sigma: float) -> None:
    values = np.arange(COUNT, dtype=np.int64).reshape(-1, 10) - COUNT // 2
    noise = add_noise(values, sigma) - values
    assert noise.shape == values.shape
    assert noise.std() == pytest.approx(sigma, rel=0.01)
    assert abs(noise.mean()) < 5 * sigma / np.sqrt(COUNT)


@pytest.mark.parametrize(("shares", "survivors"), [(1, 1), (4, 4), (4, 7)])
def test_shares_add_up_to_at_least_the_whole(shares: int, survivors: int) -> None:
    total = sum(add_noise(np.zeros(COUNT, np.int64), share_of_noise(1000.0, shares)) for _ in range(survivors))
    assert np.std(total) == pytest.approx(1000.0 * np.sqrt(survivors / shares), rel=0.01)
    with pytest.raises(PrivacyParameterInvalid):
        share_of_noise(1000.0, 0)


def test_the_low_digits_tell_nothing_of_the_value() -> None:
    """Mironov's attack: with floating-point noise some sums occur under one of two values only. With integers none."""
    zero, one = (add_noise(np.full(COUNT, value, np.int64), 20.0) for value in (0, 1))
    seen, also = (set(np.unique(noisy[np.abs(noisy) < 60])) for noisy in (zero, one))
    assert seen == also == set(range(-59, 60))
    rng = np.random.default_rng(1)
    naive, other = (set(np.float32(value) + rng.normal(size=COUNT).astype(np.float32)) for value in (0.0, 1.0))
    assert len(naive & other) < 0.9 * min(len(naive), len(other))  # the attack finds what it is made for


@pytest.mark.parametrize("rate_ppm", [1, 100_000, 999_999])
def test_records_are_drawn_at_the_rate_each_on_its_own(rate_ppm: int) -> None:
    rate = rate_ppm / 1e6
    drawn = SecretCoins().drawn(rate_ppm, COUNT)
    assert abs(drawn.size - rate * COUNT) <= 6 * np.sqrt(rate * (1 - rate) * COUNT) + 6
    assert (np.diff(drawn) > 0).all()
    early = np.count_nonzero(drawn < COUNT // 2)
    assert abs(early - drawn.size / 2) <= 6 * np.sqrt(drawn.size) / 2 + 1


def test_a_rate_of_one_draws_everything_and_others_are_refused() -> None:
    assert (SecretCoins().drawn(1_000_000, 10) == np.arange(10)).all()
    for wrong in (0, -1, 1_000_001):
        with pytest.raises(PrivacyParameterInvalid):
            SecretCoins().drawn(wrong, 10)


def test_draws_and_noise_never_share_bits() -> None:
    """Interleaved, they read one stream onwards: the same key gives another sequence when something came before."""
    fresh, later = SecretCoins(Keystream(bytes(32))), SecretCoins(Keystream(bytes(32)))
    later.drawn(500_000, 100)
    assert (fresh.noise(1e6, 100) != later.noise(1e6, 100)).mean() > 0.9


def _noise_of(coins: SecretCoins, queue: multiprocessing.Queue[bytes]) -> None:
    queue.put(coins.noise(1e9, 32).tobytes())


def test_a_fork_does_not_repeat_its_parents_noise() -> None:
    coins = SecretCoins()
    coins.noise(1e9, 4)
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[bytes] = context.Queue()
    children = [context.Process(target=_noise_of, args=(coins, queue)) for _ in range(2)]
    for child in children:
        child.start()
    seen = {queue.get(timeout=20) for _ in children} | {coins.noise(1e9, 32).tobytes()}
    for child in children:
        child.join()
    assert len(seen) == 3
