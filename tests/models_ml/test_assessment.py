from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models_ml import metrics
from models_ml.assessment import Assessment, assess
from models_ml.calibration import UNCALIBRATED, calibrate
from models_ml.edge_stream import COLUMNS, EdgeStream
from models_ml.errors import TooFewFlows
from models_ml.families import FAMILIES, UNLABELLED

C2, SCAN = FAMILIES.index("C2"), FAMILIES.index("Scan")


def flows(families: list[int], captures: list[int] | None = None) -> EdgeStream:
    count = len(families)
    columns: dict[str, Any] = {name: np.zeros(count) for name in COLUMNS}
    columns |= {"t": np.arange(count) * 10.0, "family": families, "capture": captures or [0] * count}
    return EdgeStream.from_columns(columns, ("one", "two"))


def probabilities(rows: list[dict[int, float]]) -> np.ndarray:
    table = np.zeros((len(rows), len(FAMILIES)), dtype=np.float32)
    for row, given in enumerate(rows):
        for family, value in given.items():
            table[row, family] = value
        table[row, 0] = 1 - table[row].sum()
    return table


def small() -> Assessment:
    stream = flows([0, 0, 0, C2, C2, SCAN, UNLABELLED], [0, 0, 1, 0, 1, 1, 1])
    rows = [{}, {C2: 0.1}, {SCAN: 0.6}, {C2: 0.8}, {C2: 0.2}, {C2: 0.5, SCAN: 0.4}, {C2: 1.0}]
    return assess(probabilities(rows), stream, UNCALIBRATED)


def test_figures_are_those_of_the_labelled_records() -> None:
    found = small()
    scores = np.array([0, 0.1, 0.6, 0.8, 0.2, 0.9])
    attack = np.array([False, False, False, True, True, True])
    assert found.figures["n"] == 6
    assert found.figures["macro_binary_f1"] == metrics.macro_binary_f1(scores >= 0.5, attack)
    assert found.figures["auc"] == pytest.approx(metrics.auc(scores, attack))


def test_families_and_confusion_count_every_record_once() -> None:
    found = small()
    assert [(each.family, each.records, each.right) for each in found.families] == [
        ("Benign", 3, 2),
        ("C2", 2, 1),
        ("Scan", 1, 1),
    ]
    assert found.confusion.sum() == 6
    assert found.as_json()["confusion"] == {
        "Benign": {"Benign": 2, "Scan": 1},
        "C2": {"Benign": 1, "C2": 1},
        "Scan": {"C2": 1},
    }
    assert all(each.low <= each.share <= each.high for each in found.families)


def test_histograms_and_timelines_count_every_record_once() -> None:
    found = small()
    assert (found.benign_scores.sum(), found.attack_scores.sum()) == (3, 3)
    assert [line.capture for line in found.timelines] == ["one", "two"]
    totals = [(int(each.records.sum()), int(each.attacks.sum())) for each in found.timelines]
    assert totals == [(3, 1), (3, 2)]
    assert [(int(each.found.sum()), int(each.false_alarms.sum())) for each in found.timelines] == [(1, 0), (1, 1)]


def test_intervals_hold_the_figures_of_a_larger_sample() -> None:
    rng = np.random.default_rng(1)
    families = rng.choice([0, C2], 600).tolist()
    rows = [{C2: float(np.clip(rng.normal(0.7 if family else 0.3, 0.2), 0, 1))} for family in families]
    found = assess(probabilities(rows), flows(families), UNCALIBRATED, seed=2)
    assert found.intervals.keys() <= found.figures.keys()
    for name, (low, high) in found.intervals.items():
        assert low <= found.figures[name] <= high
        assert high - low < 0.4
    assert assess(probabilities(rows), flows(families), UNCALIBRATED, seed=2).intervals == found.intervals


def test_one_class_alone_has_no_curve_and_no_label_no_assessment() -> None:
    benign = assess(probabilities([{}] * 30), flows([0] * 30), UNCALIBRATED)
    assert (len(benign.roc), len(benign.precision_recall)) == (0, 0)
    assert "auc" not in benign.figures
    with pytest.raises(TooFewFlows):
        assess(probabilities([{}]), flows([UNLABELLED]), UNCALIBRATED)


def test_thresholds_are_those_of_the_calibration() -> None:
    rng = np.random.default_rng(1)
    families = rng.choice([0, C2], 600).tolist()
    rows = [{C2: float(np.clip(rng.normal(0.3 if family else 0.1, 0.05), 0, 1))} for family in families]
    calibration = calibrate(probabilities(rows), np.array(families))
    plain, fitted = (assess(probabilities(rows), flows(families), each) for each in (UNCALIBRATED, calibration))
    assert plain.figures["recall.C2"] == 0
    assert fitted.figures["recall.C2"] > 0.5
    assert fitted.figures["recall.Benign"] > 0.98
    assert plain.thresholds["C2"] == 0.5
    assert fitted.thresholds["C2"] < 0.5
    assert "Benign" not in fitted.thresholds
    assert fitted.figures["auc"] == plain.figures["auc"]
