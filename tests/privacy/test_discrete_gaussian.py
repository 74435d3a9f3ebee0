"""Noise against the exact probabilities, and its bits against what would give it away."""

from __future__ import annotations

import ast
import inspect
import math
import os

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from privacy.dp import discrete_gaussian, keystream
from privacy.dp.discrete_gaussian import sample
from privacy.dp.keystream import Keystream
from privacy.errors import PrivacyParameterInvalid

COUNT = 200_000
# The tests draw the same bits in every run; a failure is a fault and never bad luck.
KEY = bytes(range(32))


def probabilities(sigma: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The exact distribution where it is above 1e-17."""
    reach = math.ceil(9 * sigma) + 2
    x = np.arange(-reach, reach + 1)
    weights = np.exp(-(x**2) / (2 * sigma**2))
    return x, weights / weights.sum()


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.5, 1.0, 1.9999, 2.0, 3.7, 16.0, 40.5])
def test_frequencies_are_the_exact_ones(sigma: float) -> None:
    drawn = sample(sigma, COUNT, stream=Keystream(KEY))
    x, p = probabilities(sigma)
    counts = np.bincount(drawn - x[0], minlength=x.size)
    assert counts.size == x.size
    expected = p * COUNT
    often = expected >= 10
    observed = np.append(counts[often], counts[~often].sum())
    pooled = np.append(expected[often], expected[~often].sum())
    if pooled[-1] < 1:
        observed, pooled = observed[:-1], pooled[:-1] * (observed[:-1].sum() / pooled[:-1].sum())
    if observed.size > 1:
        assert stats.chisquare(observed, pooled).pvalue > 1e-3
    else:
        assert observed[0] == COUNT


@pytest.mark.parametrize("sigma", [300.0, 2.0**20 + 0.5, 2.0**33])
def test_at_large_scales_it_is_the_normal_distribution(sigma: float) -> None:
    drawn = sample(sigma, COUNT, stream=Keystream(KEY))
    assert stats.kstest((drawn + 0.0) / sigma, "norm").pvalue > 1e-3
    assert drawn.std() == pytest.approx(sigma, rel=0.01)


def test_no_integer_is_left_out() -> None:
    """Rounded floating-point noise has multiples that it never takes at this scale; these low bits are uniform."""
    drawn = sample(2.0**33, COUNT, stream=Keystream(KEY))
    for modulus in (2, 16, 255):
        assert stats.chisquare(np.bincount(drawn % modulus, minlength=modulus)).pvalue > 1e-3


def test_signs_are_fair_and_samples_independent() -> None:
    drawn = sample(50.0, COUNT, stream=Keystream(KEY))
    positive = int((drawn > 0).sum())
    assert stats.binomtest(positive, positive + int((drawn < 0).sum())).pvalue > 1e-3
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 4 / math.sqrt(COUNT)


def test_the_variances_of_parts_add_up() -> None:
    """t organisations that add sigma^2 / t each give sigma^2, whoever drops out beyond them adds more."""
    parts = [sample(100 / math.sqrt(5), COUNT, stream=Keystream(KEY[:-1] + bytes([number]))) for number in range(5)]
    assert sum(parts).std() == pytest.approx(100, rel=0.01)  # type: ignore[union-attr]


def test_every_stream_is_another_one() -> None:
    assert not np.array_equal(sample(10.0, 1000), sample(10.0, 1000))
    assert np.array_equal(sample(10.0, 1000, stream=Keystream(KEY)), sample(10.0, 1000, stream=Keystream(KEY)))
    stream = Keystream(KEY)
    assert not np.array_equal(stream.words(1000), stream.words(1000))


def test_a_fork_does_not_repeat_its_parents_noise() -> None:
    stream = Keystream()
    stream.words(1)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, stream.words(4).tobytes())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 32) != stream.words(4).tobytes()
    os.close(read)
    os.close(write)


def test_words_are_aes_256_ctr() -> None:
    """NIST SP 800-38A, F.5.5, has another counter; a zero key and counter is AES-256 of zeros (FIPS 197 arithmetic)."""
    assert Keystream(bytes(32)).words(2).tobytes().hex() == "dc95c078a2408989ad48a21492842087"


@pytest.mark.parametrize("sigma", [0.0, -1.0, 0.09, 2.0**41, math.nan, math.inf])
def test_scales_out_of_range_are_refused(sigma: float) -> None:
    with pytest.raises(PrivacyParameterInvalid):
        sample(sigma, 1)


def test_counts() -> None:
    assert sample(1.0, 0).size == 0
    assert sample(1.0, 1).size == 1
    assert sample(0.1, 200_001).size == 200_001
    with pytest.raises(PrivacyParameterInvalid):
        sample(1.0, -1)


def test_no_generator_of_numpy_makes_noise() -> None:
    for module in (discrete_gaussian, keystream):
        tree = ast.parse(inspect.getsource(module))
        assert "random" not in {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
