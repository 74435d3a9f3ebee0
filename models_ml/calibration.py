"""Decisions from probabilities, by thresholds that an organisation sets on records that it held out.

The most probable family is a poor decision: a rare family ranks well and yet seldom exceeds 0.5. So every family gets a
threshold of its own, from what the model gives it on benign records: the same number k of benign records may exceed
each, k being the largest for which all alarms together stay within the bound. That needs no attack. Where the family
was held out as well and stands apart, the threshold moves half-way towards it, in log-odds, which leaves room for the
benign records of other days.

The score is `1 / (1 + exp(-a m))`, where m is how far the log-odds of a family exceed those of its threshold, for the
family for which that is most; so 0.5 is the border of an alarm. With attacks among the held-out records, a is fitted to
them (Platt scaling without an offset, both classes weighing the same); without, it is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.families import BENIGN, FAMILIES, UNLABELLED
from models_ml.metrics import MAX_FALSE_POSITIVE_RATE

Float64 = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer[Any]]

MIN_PROBABILITY = 1e-9
FAMILY_QUANTILE = 0.05
"""This part of a family's held-out records may lie below where the threshold moves to."""
JUST_ABOVE = 1e-6
"""In log-odds: more than the rounding of a score."""
SLOPES = tuple(2.0**power for power in range(-4, 4))


@dataclass(frozen=True, eq=False)
class Calibration:
    """Thresholds of one model at one organisation.

    Attributes:
        thresholds: (families,) log-odds at which a family is alarmed; infinity for `Benign`.
        slope: of the score over the margin.
    """

    thresholds: Float64
    slope: float = 1.0

    def decide(self, probabilities: npt.NDArray[np.floating[Any]]) -> tuple[npt.NDArray[np.int8], Float64]:
        """The family (n,) and the score (n,) of records with these probabilities (n, families).

        `Benign` where no family reaches its threshold; the score is at least 0.5 exactly for the others. They are named
        by the most probable family of attack: the one furthest above its threshold names more of them wrongly (10 in
        100 of a campus's attacks, against 2), because a family that was seldom seen has a threshold close to nothing.
        """
        margins = log_odds(probabilities) - self.thresholds
        most = margins.max(axis=1, initial=-np.inf)
        family = np.where(np.isfinite(self.thresholds), probabilities, -1.0).argmax(axis=1).astype(np.int8)
        family[most < 0] = BENIGN
        return family, 1 / (1 + np.exp(-np.clip(self.slope * most, -500, 500)))


UNCALIBRATED = Calibration(np.where(np.arange(len(FAMILIES)) == BENIGN, np.inf, 0.0))
"""Even odds for every family: without held-out records."""


def calibrate(
    probabilities: npt.NDArray[np.floating[Any]], labels: Labels, max_fpr: float = MAX_FALSE_POSITIVE_RATE
) -> Calibration:
    """Thresholds by which at most `max_fpr` of the benign records would be alarmed.

    Args:
        probabilities: (n, families) of held-out records.
        labels: (n,) their families; unlabelled records are left out.

    Returns:
        The calibration; `UNCALIBRATED` where there is no benign record.
    """
    probabilities, labels = probabilities[labels != UNLABELLED], labels[labels != UNLABELLED]
    odds = np.delete(log_odds(probabilities), BENIGN, axis=1)
    benign, families = odds[labels == BENIGN], np.delete(np.arange(len(FAMILIES)), BENIGN)
    if not len(benign):
        return UNCALIBRATED
    lowest = _exceeded_by_few(benign, int(max_fpr * len(benign)))
    for column, family in enumerate(families):
        held = odds[labels == family, column]
        if len(held):
            lowest[column] = max(lowest[column], (lowest[column] + np.quantile(held, FAMILY_QUANTILE)) / 2)
    thresholds = np.full(len(FAMILIES), np.inf)
    thresholds[families] = lowest
    return Calibration(thresholds, _fitted_slope((odds - lowest).max(axis=1), labels != BENIGN))


def log_odds(probabilities: npt.NDArray[np.floating[Any]]) -> Float64:
    """`log(p / (1 - p))`, float64, with p kept within [1e-9, 1 - 1e-9]."""
    kept = np.clip(probabilities.astype(np.float64), MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def _exceeded_by_few(benign: Float64, allowed: int) -> Float64:
    """The lowest thresholds (columns,) of equal rank that at most `allowed` rows of `benign` reach in any column."""
    highest_first = -np.sort(-benign, axis=0)

    def above(rank: int) -> Float64:
        return np.asarray(highest_first[rank] + JUST_ABOVE)

    fits, fails = 0, allowed + 1
    while fails - fits > 1:
        middle = (fits + fails) // 2
        if middle < len(benign) and (benign >= above(middle)).any(axis=1).sum() <= allowed:
            fits = middle
        else:
            fails = middle
    return above(fits)


def _fitted_slope(margins: Float64, attack: npt.NDArray[np.bool_]) -> float:
    """The slope of least log-loss among `SLOPES`, attacks and benign records weighing the same."""
    if not attack.any():
        return 1.0
    signed = np.where(attack, margins, -margins)

    def loss(slope: float) -> float:
        each = np.logaddexp(0, -slope * signed)
        return float(each[attack].mean() + each[~attack].mean())

    return min(SLOPES, key=loss)
