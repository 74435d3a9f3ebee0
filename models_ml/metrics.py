"""How good a detector is: scores of attack against what was one, in numpy alone.

Definitions are those of scikit-learn; every function takes `scores` (n,), higher meaning rather an attack, and `attack`
(n,) booleans. A figure that a sample cannot give (no attack or no benign record in it) is NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.families import BENIGN, FAMILIES

Scores = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]

DEFAULT_THRESHOLD = 0.5
MAX_FALSE_POSITIVE_RATE = 0.01


def attack_probability(probabilities: Scores) -> Scores:
    """`1 - P(Benign)` of (n, families), summed over the other families so that small ones keep their digits.

    The sum is float64, so that a threshold between two float32 scores stays between them.
    """
    return np.asarray(np.delete(probabilities, BENIGN, axis=1).sum(axis=1, dtype=np.float64))


def calibrated_threshold(benign_scores: Scores, max_fpr: float = MAX_FALSE_POSITIVE_RATE) -> float:
    """The lowest threshold at which at most `max_fpr` of the benign records count as attacks, 0.5 at most.

    Families that are rare or unknown rank well and yet stay below 0.5; an organisation finds them by setting the
    threshold from the benign records that it held out. It needs no attack for that.

    Args:
        benign_scores: attack probabilities of benign records that training did not see; without any, 0.5.
    """
    if not len(benign_scores):
        return DEFAULT_THRESHOLD
    highest_first = np.sort(np.asarray(benign_scores, dtype=np.float64))[::-1]
    allowed = int(max_fpr * len(highest_first))
    if allowed >= len(highest_first):
        return 0.0
    return min(DEFAULT_THRESHOLD, float(np.nextafter(highest_first[allowed], np.inf)))


def evaluate(probabilities: Scores, labels: Labels, threshold: float | Scores = DEFAULT_THRESHOLD) -> dict[str, float]:
    """All figures of a sample.

    Args:
        probabilities: (n, families), rows sum to 1.
        labels: (n,) indices of families.
        threshold: attack probability from which on a flow counts as an attack; one for all, or (n,) one for each.

    Returns:
        n, macro_binary_f1, accuracy, quadratic_score, average_precision, auc, fpr_at_95_tpr, recall_at_fpr_0.1pct, and
        `recall.<family>`: the part of the family's records that count as an attack (for Benign: as benign). Figures
        that the sample cannot give are left out.
    """
    scores, attack = attack_probability(probabilities), labels != BENIGN
    decided = scores >= threshold
    figures = {
        "n": float(len(labels)),
        "macro_binary_f1": macro_binary_f1(decided, attack),
        "accuracy": float(np.mean(decided == attack)) if len(labels) else math.nan,
        "quadratic_score": quadratic_score(scores, attack),
        "average_precision": average_precision(scores, attack),
        "auc": auc(scores, attack),
        "fpr_at_95_tpr": fpr_at_tpr(scores, attack, 0.95),
        "recall_at_fpr_0.1pct": recall_at_fpr(scores, attack, 0.001),
    }
    for index in np.unique(labels):
        right = decided[labels == index] == (index != BENIGN)
        figures[f"recall.{FAMILIES[index]}"] = float(right.mean())
    return {name: value for name, value in figures.items() if not math.isnan(value)}


def f1(decided: Bools, truth: Bools) -> float:
    """2 TP / (2 TP + FP + FN); 0 where nothing is true and nothing decided."""
    hits = int(np.sum(decided & truth))
    total = int(np.sum(decided)) + int(np.sum(truth))
    return 2 * hits / total if total else 0.0


def macro_binary_f1(decided: Bools, attack: Bools) -> float:
    """Mean of the F1 of the attack class and the F1 of the benign class."""
    return (f1(decided, attack) + f1(~decided, ~attack)) / 2


def quadratic_score(scores: Scores, attack: Bools) -> float:
    """1 minus the squared error of the probabilities, averaged over attacks and over benign records, then over both.

    A proper score (Brier 1950) with both classes weighing the same. It moves smoothly and exists where only one class
    does, which makes it the figure by which two models are compared on a small sample.
    """
    parts = [
        float(np.mean(np.square(scores[which] - value))) for which, value in ((attack, 1), (~attack, 0)) if which.any()
    ]
    return 1 - sum(parts) / len(parts) if parts else math.nan


def _curve(scores: Scores, attack: Bools) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(true positives, false positives) when everything from each distinct score upwards counts as an attack."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last_of_score = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits = np.cumsum(attack[order], dtype=np.int64)[last_of_score]
    return hits, last_of_score + 1 - hits


def average_precision(scores: Scores, attack: Bools) -> float:
    """`sum_k (recall_k - recall_(k-1)) * precision_k` over distinct scores, from the highest down."""
    if not attack.any():
        return math.nan
    hits, false_alarms = _curve(scores, attack)
    gained = np.diff(hits, prepend=0)
    return float(gained @ (hits / (hits + false_alarms)) / hits[-1])


def auc(scores: Scores, attack: Bools) -> float:
    """Area under the ROC curve: P(attack scores above benign), ties counting half."""
    if not attack.any() or attack.all():
        return math.nan
    hits, false_alarms = _curve(scores, attack)
    area = np.trapezoid(np.append(0, hits), np.append(0, false_alarms))
    return float(area / (hits[-1] * false_alarms[-1]))


def fpr_at_tpr(scores: Scores, attack: Bools, tpr: float) -> float:
    """Smallest false positive rate at which at least `tpr` of the attacks are found."""
    if not attack.any() or attack.all():
        return math.nan
    hits, false_alarms = _curve(scores, attack)
    return float(false_alarms[np.argmax(hits >= tpr * hits[-1])] / false_alarms[-1])


def recall_at_fpr(scores: Scores, attack: Bools, fpr: float) -> float:
    """Largest part of the attacks that is found while at most `fpr` of the benign records are false alarms."""
    if not attack.any() or attack.all():
        return math.nan
    hits, false_alarms = _curve(scores, attack)
    within = false_alarms <= fpr * false_alarms[-1]
    return float(hits[within].max(initial=0) / hits[-1])


def roc_curve(scores: Scores, attack: Bools, points: int = 200) -> npt.NDArray[np.float64]:
    """(false positive rate, true positive rate) from (0, 0) to (1, 1), at most about `points` rows; needs both classes.

    Rows are left out evenly along the curve.
    """
    hits, false_alarms = _curve(scores, attack)
    curve = np.column_stack((np.append(0, false_alarms / false_alarms[-1]), np.append(0, hits / hits[-1])))
    return _thinned(curve, points)


def precision_recall_curve(scores: Scores, attack: Bools, points: int = 200) -> npt.NDArray[np.float64]:
    """(recall, precision) from the highest score down, at most about `points` rows; needs an attack."""
    hits, false_alarms = _curve(scores, attack)
    return _thinned(np.column_stack((hits / hits[-1], hits / (hits + false_alarms))), points)


def _thinned(curve: npt.NDArray[np.float64], points: int) -> npt.NDArray[np.float64]:
    """Rows at about equal steps along the curve, the first and the last among them."""
    along = np.append(0, np.cumsum(np.abs(np.diff(curve, axis=0)).sum(axis=1)))
    wanted = np.searchsorted(along, np.linspace(0, along[-1], points))
    return np.asarray(curve[np.unique(np.concatenate(([0], wanted, [len(curve) - 1])))])
