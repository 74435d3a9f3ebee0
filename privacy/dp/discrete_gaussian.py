"""Noise for released integers: the discrete Gaussian, from cryptographic bits, many at a time.

P(x) is proportional to exp(-x^2 / (2 sigma^2)) over all integers (Canonne, Kamath & Steinke, "The Discrete Gaussian for
Differential Privacy", NeurIPS 2020), whose privacy is that of the continuous one (theorem 4) and which has none of the
gaps between floating-point numbers that give a rounded Gaussian away (Mironov, "On Significance of the Least
Significant Bits for Differential Privacy", CCS 2012). Sampled as there (algorithm 3): a discrete Laplace variable of
scale t = floor(sigma) + 1, kept with probability exp(-(|x| - sigma^2/t)^2 / (2 sigma^2)).

Each decision compares 53 random bits with a probability of as many, so it errs by at most 2^-52; a sample takes fewer
than ten of them on average. So `count` samples are within count * 10 * 2^-52 of exact ones in total variation (for a
million 2.3e-9), which is to be added to delta.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from privacy.dp.keystream import Keystream
from privacy.errors import PrivacyParameterInvalid

SMALLEST, LARGEST = 0.1, 2.0**40
"""Of sigma: below, rejection wastes everything; above, squares leave the exact integers of a float."""

_BATCH = 1 << 16
"""Candidates at a time: arrays that stay in the processor's cache."""
_ACCEPTED = 0.6
"""Of the candidates of a Laplace step, about; only the size of a batch depends on it."""
_GEOMETRIC = np.array([min(2**64 - 1, math.floor(2**64 * math.exp(-v))) for v in range(44, 0, -1)], dtype=np.uint64)
"""2^64 e^-v for v = 44 down to 1: below the v-th threshold lies a word with probability e^-v."""

Int64 = npt.NDArray[np.int64]
Uint64 = npt.NDArray[np.uint64]


def sample(sigma: float, count: int, *, stream: Keystream | None = None) -> Int64:
    """`count` independent samples of standard deviation (very nearly) `sigma`, in units of the quantised values.

    Args:
        stream: where the bits come from; a fresh one if left out.

    Raises:
        PrivacyParameterInvalid: sigma out of range, or a negative count.
    """
    if not SMALLEST <= sigma <= LARGEST:
        raise PrivacyParameterInvalid(f"sigma {sigma:g}", expected=f"{SMALLEST:g} to {LARGEST:g} quantisation steps")
    if count < 0:
        raise PrivacyParameterInvalid(f"{count} samples", expected="none, or more")
    stream = stream or Keystream()
    samples = np.empty(count, dtype=np.int64)
    filled = 0
    while filled < count:
        wanted = min(_BATCH, math.ceil((count - filled) / _ACCEPTED) + 64)
        kept = _candidates(sigma, wanted, stream)[: count - filled]
        samples[filled : filled + kept.size] = kept
        filled += kept.size
    return samples


def _candidates(sigma: float, count: int, stream: Keystream) -> Int64:
    """What is kept of `count` draws."""
    scale = math.floor(sigma) + 1
    x = _laplace_magnitude(scale, count, stream)
    words = stream.words(2 * x.size)
    negative = (words[: x.size] & np.uint64(1)).astype(bool)
    gap = x - sigma**2 / scale
    kept = _happens(np.exp(-(gap * gap) / (2 * sigma**2)), words[x.size :])
    kept &= ~(negative & (x == 0))  # zero has no second sign
    return np.where(negative, -x, x)[kept]


def _laplace_magnitude(scale: int, count: int, stream: Keystream) -> Int64:
    """|x| of discrete Laplace variables before zero's second sign is dropped: P(m) proportional to exp(-m / scale).

    m = u + scale v with u uniform below `scale`, kept with probability exp(-u / scale), and v geometric.
    """
    u = _below(scale, count, stream)
    words = stream.words(2 * u.size)
    kept = _happens(np.exp(u / -float(scale)), words[: u.size])
    v = _GEOMETRIC.size - np.searchsorted(_GEOMETRIC, words[u.size :][kept], side="right")
    return u[kept] + scale * v.astype(np.int64)


def _below(bound: int, count: int, stream: Keystream) -> Int64:
    """At most `count` uniform integers from 0 to bound - 1: the low bits of words, those beyond dropped."""
    low = stream.words(count) & np.uint64((1 << (bound - 1).bit_length()) - 1)
    return low[low < np.uint64(bound)].astype(np.int64)


def _happens(probability: npt.NDArray[np.float64], words: Uint64) -> npt.NDArray[np.bool_]:
    """True with those probabilities: whether 53 random bits, as a fraction, are below."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53 < probability
