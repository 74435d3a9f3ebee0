"""A classifier's predictions against the truth, in all the ways that a report shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml import metrics
from models_ml.calibration import Calibration
from models_ml.edge_stream import EdgeStream
from models_ml.errors import TooFewFlows
from models_ml.families import BENIGN, FAMILIES, UNLABELLED
from models_ml.intervals import block_bootstrap, time_blocks, wilson

HISTOGRAM_BINS = 25
TIME_BINS = 60


Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FamilyRecall:
    """How many of a family's records count as attacks (of Benign: as benign), with a 95 % Wilson interval."""

    family: str
    records: int
    right: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.right / self.records


@dataclass(frozen=True)
class Timeline:
    """One capture: records in equal stretches of its time.

    Attributes:
        start, end: seconds since 1970.
        records, attacks, found, false_alarms: counts in each stretch.
    """

    capture: str
    start: float
    end: float
    records: Counts
    attacks: Counts
    found: Counts
    false_alarms: Counts


@dataclass(frozen=True)
class Assessment:
    """What a report shows of one model.

    Attributes:
        thresholds: probability of each attack family from which on a flow is alarmed.
        figures: `metrics.evaluate`; those of decisions are by the calibration, those of ranks by attack probability.
        intervals: 95 % intervals of some of the figures, by blocks of time.
        confusion: (families, families) counts; rows are what it was, columns what the model said, by the
            calibration.
        roc, precision_recall: points of the curves, empty where the sample cannot give them.
        benign_scores, attack_scores: counts by calibrated score, in `HISTOGRAM_BINS` equal parts of [0, 1]; alarms
            begin at 0.5.
    """

    thresholds: dict[str, float]
    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    families: tuple[FamilyRecall, ...]
    confusion: Counts
    roc: npt.NDArray[np.float64]
    precision_recall: npt.NDArray[np.float64]
    benign_scores: Counts
    attack_scores: Counts
    timelines: tuple[Timeline, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "thresholds": self.thresholds,
            "metrics": self.figures,
            "intervals_95": {name: list(ends) for name, ends in self.intervals.items()},
            "families": [
                {
                    "family": each.family,
                    "records": each.records,
                    "right": each.right,
                    "recall": each.share,
                    "interval_95": [each.low, each.high],
                }
                for each in self.families
            ],
            "confusion": {
                FAMILIES[row]: {FAMILIES[column]: int(self.confusion[row, column]) for column in np.flatnonzero(counts)}
                for row, counts in enumerate(self.confusion)
                if counts.any()
            },
        }


def assess(
    probabilities: npt.NDArray[np.float32], stream: EdgeStream, calibration: Calibration, *, seed: int = 0
) -> Assessment:
    """Compare predictions for all records of `stream` with the families of those that are labelled.

    Args:
        probabilities: (n, families).
        calibration: decides, as it does in detection.
        seed: of the bootstrap.

    Raises:
        TooFewFlows: no labelled record.
    """
    judged = stream.family != UNLABELLED
    if not judged.any():
        raise TooFewFlows("no record says of which family it is", expected="labelled records")
    known, said = stream.select(judged), probabilities[judged]
    families, calibrated = calibration.decide(said)
    scores, attack, decided = metrics.attack_probability(said), known.family != BENIGN, families != BENIGN
    both = attack.any() and not attack.all()
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    intervals = block_bootstrap(
        lambda rows: _headline(scores[rows], attack[rows], decided[rows]), time_blocks(known), seed=seed
    )
    return Assessment(
        thresholds=_thresholds(calibration),
        figures=metrics.evaluate(said, known.family, np.where(decided, -1.0, 2.0)),
        intervals=intervals,
        families=_families(known.family, decided),
        confusion=_confusion(known.family, families),
        roc=metrics.roc_curve(scores, attack) if both else np.zeros((0, 2)),
        precision_recall=metrics.precision_recall_curve(scores, attack) if attack.any() else np.zeros((0, 2)),
        benign_scores=np.histogram(calibrated[~attack], edges)[0],
        attack_scores=np.histogram(calibrated[attack], edges)[0],
        timelines=_timelines(known, attack, decided),
    )


def _thresholds(calibration: Calibration) -> dict[str, float]:
    return {
        name: float(1 / (1 + np.exp(-odds)))
        for name, odds in zip(FAMILIES, calibration.thresholds, strict=True)
        if np.isfinite(odds)
    }


def _headline(scores: metrics.Scores, attack: metrics.Bools, decided: metrics.Bools) -> dict[str, float]:
    figures = {
        "macro_binary_f1": metrics.macro_binary_f1(decided, attack),
        "average_precision": metrics.average_precision(scores, attack),
        "auc": metrics.auc(scores, attack),
        "fpr_at_95_tpr": metrics.fpr_at_tpr(scores, attack, 0.95),
        "recall_at_fpr_0.1pct": metrics.recall_at_fpr(scores, attack, 0.001),
    }
    return {name: value for name, value in figures.items() if value == value}  # noqa: PLR0124  (not NaN)


def _families(labels: metrics.Labels, decided: metrics.Bools) -> tuple[FamilyRecall, ...]:
    found = []
    for index in np.unique(labels):
        of_family = labels == index
        records = int(of_family.sum())
        right = int((decided[of_family] == (index != BENIGN)).sum())
        found.append(FamilyRecall(FAMILIES[index], records, right, *wilson(right, records)))
    return tuple(found)


def _confusion(labels: metrics.Labels, said: metrics.Labels) -> Counts:
    counts = np.zeros((len(FAMILIES), len(FAMILIES)), dtype=np.int64)
    np.add.at(counts, (labels, said), 1)
    return counts


def _timelines(known: EdgeStream, attack: metrics.Bools, decided: metrics.Bools) -> tuple[Timeline, ...]:
    found = []
    for index in np.unique(known.capture):
        members = known.capture == index
        t = known.t[members]
        edges = np.linspace(t.min(), max(float(t.max()), float(t.min()) + 1), TIME_BINS + 1)
        chosen = (None, attack, attack & decided, ~attack & decided)
        counts = [np.histogram(t if which is None else t[which[members]], edges)[0] for which in chosen]
        found.append(Timeline(known.captures[index], float(t.min()), float(t.max()), *counts))
    return tuple(found)
