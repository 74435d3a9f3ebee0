"""Noise on whole vectors of integers, drawn by one party or in equal shares by several."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from privacy.dp.discrete_gaussian import sample
from privacy.dp.keystream import Keystream
from privacy.errors import PrivacyParameterInvalid

Int64 = npt.NDArray[np.int64]


def share_of_noise(sigma: float, shares: int) -> float:
    """The standard deviation that each of `shares` parties adds so that their sum has `sigma`: variances add up.

    Args:
        shares: how many honest parties are counted on: the fewest that may survive less those assumed to collude. More
            of them make more noise, never less.

    Raises:
        PrivacyParameterInvalid: nobody to add it.
    """
    if shares < 1:
        raise PrivacyParameterInvalid(f"noise in {shares} shares", expected="at least one honest party")
    return sigma / math.sqrt(shares)


def add_noise(values: Int64, sigma: float, *, stream: Keystream | None = None) -> Int64:
    """Integers with fresh discrete Gaussian noise of standard deviation `sigma`, in the same units.

    Sums of such noise are discrete Gaussian up to exp(-pi^2 sigma^2) (Kairouz, Liu & Steinke, "The Distributed
    Discrete Gaussian Mechanism for Federated Learning with Secure Aggregation", ICML 2021, theorem 1).

    Args:
        stream: where the bits come from; a fresh one if left out.

    Raises:
        PrivacyParameterInvalid: sigma out of range.
    """
    return values + sample(sigma, values.size, stream=stream).reshape(values.shape)
