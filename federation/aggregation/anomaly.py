"""How unlike the others an update is: norm, direction and distance against the cohort.

For norm n, cosine c to the mean of the others' updates and distance d to the geometric median, each update gets a
robust z value against the cohort: how far it lies from the cohort's median in units of 1.4826 MAD (norm: on either
side; cosine: below; distance: above). The score is the largest of the three divided by 3.5, the cut-off of Iglewicz and
Hoaglin ("How to Detect and Handle Outliers", ASQC 1993): 0 is like the cohort, above 1 is suspicious. A unit is never
less than 5 % of the median norm or distance (cosine: 0.05), so that a cohort that agrees closely does not turn small
differences into alarms. With fewer than three updates there is no majority to compare with and every score is 0.

The score informs people; no aggregate depends on it, therefore floats are allowed here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.gram import squared_distances
from models_ml.fixed_point import SCALE

CUT_OFF = 3.5
_MAD_TO_SIGMA = 1.4826
_FLOOR = 0.05
_MAJORITY = 3
_ITERATIONS = 100


@dataclass(frozen=True)
class AnomalyScore:
    """One update beside its cohort.

    Attributes:
        norm: L2 norm, in model units.
        cosine: to the mean of the others' updates; 0 where either is zero or there are no others.
        distance: L2 distance to the geometric median of the cohort, in model units.
        score: 0 like the cohort, above 1 suspicious.
    """

    norm: float
    cosine: float
    distance: float
    score: float


def scores(products: NDArray[Any]) -> list[AnomalyScore]:
    """The anomaly score of every update, in the order of their inner products (N x N Python integers, see `gram`).

    Always finite. No coordinate is read: everything follows from the inner products.
    """
    norms, cosines = _norms_and_cosines(products)
    distances = _distances_to_median(products)
    if len(products) < _MAJORITY:
        suspicion = np.zeros(len(products))
    else:
        suspicion = np.maximum.reduce(
            (
                np.abs(_robust_z(norms, _FLOOR * float(np.median(norms)))),
                -_robust_z(cosines, _FLOOR),
                _robust_z(distances, _FLOOR * float(np.median(distances))),
            )
        )
    return [
        AnomalyScore(float(norm), float(cosine), float(distance), max(0.0, float(score) / CUT_OFF))
        for norm, cosine, distance, score in zip(norms, cosines, distances, suspicion, strict=True)
    ]


def _robust_z(values: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """Signed distance from the median in units of 1.4826 MAD, or of `floor` where that is larger."""
    centred = values - np.median(values)
    unit = max(_MAD_TO_SIGMA * float(np.median(np.abs(centred))), floor, 1 / SCALE)
    return centred / unit


def _norms_and_cosines(products: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Norms in model units and cosines to the sum of the others, from exact inner products."""
    with_all = products.sum(axis=1)
    squares = products.diagonal()
    norms, cosines = [], []
    for square, inner in zip(squares, with_all, strict=True):
        others = with_all.sum() - 2 * inner + square  # |S - u|^2 with S the sum of all
        length = math.sqrt(square) * math.sqrt(others)
        norms.append(math.sqrt(square) / SCALE)
        cosines.append((inner - square) / length if length else 0.0)
    return np.array(norms), np.array(cosines)


def _distances_to_median(products: NDArray[Any]) -> NDArray[np.float64]:
    """L2 distance of every update to the cohort's geometric median, in model units.

    Weiszfeld's iterations on the coefficients of v = sum(a_j u_j), from the mean of the densest majority: for
    coefficients that add up to one, |u_i - v|^2 = sum(a_j d_ij^2) - sum(a_j a_k d_jk^2) / 2.
    """
    squares = squared_distances(products).astype(np.float64) / SCALE**2
    majority = len(squares) // 2 + 1
    radii = np.sort(squares, axis=1)[:, majority - 1]
    inside = squares[radii == radii.min()] <= radii.min()  # ties all count: no order of arrival decides
    shares = inside.sum(axis=0) / inside.sum()
    for _ in range(_ITERATIONS):
        weights = 1 / np.maximum(_distances_to(shares, squares), 1 / SCALE)
        shares = weights / weights.sum()
    return _distances_to(shares, squares)


def _distances_to(shares: NDArray[np.float64], squares: NDArray[np.float64]) -> NDArray[np.float64]:
    mean = squares @ shares
    return np.sqrt(np.maximum(mean - shares @ mean / 2, 0))
