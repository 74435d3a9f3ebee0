"""What the experiment on NSL-KDD judges by: nobody is tested on rows, or on kinds of attack, that were trained on."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from benchmarks import dp_utility
from benchmarks.dp_utility import Federation, Scores
from models_ml.families import FAMILIES

KINDS = ("normal", "neptune", "ipsweep", "guess_passwd", "smurf", "teardrop")
SERVICES = ("http", "smtp", "ftp", "private", "ecr_i")
FEW = Scores(known=0.95, with_unseen=0.8)


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    """Rows in the data set's form, made here."""
    source = random.Random(1)
    lines = []
    for _ in range(800):
        numbers = [str(source.randint(0, 3)) for _ in range(38)]
        texts = [source.choice(("tcp", "udp")), source.choice(SERVICES), "SF"]
        lines.append(",".join([numbers[0], *texts, *numbers[1:], source.choice(KINDS), "20"]))
    path = tmp_path / "KDDTrain.txt"
    path.write_text("\n".join(lines + lines[:200]) + "\n")
    return dp_utility.read(path)


def test_test_rows_are_new_and_unseen_kinds_in_no_training(federation: Federation) -> None:
    training = np.concatenate(federation.organizations)
    assert all(len(rows) for rows in federation.organizations)
    known = {federation.inputs[row].tobytes() for row in training}
    assert not known & {federation.inputs[row].tobytes() for row in (*federation.test, *federation.unseen)}
    assert len(np.unique(training)) == len(training)
    assert not set(federation.test) & set(federation.unseen)
    assert set(federation.labels[federation.unseen]) == {FAMILIES.index("DDoS"), FAMILIES.index("ExternalAttack")}
    assert FAMILIES.index("ExternalAttack") not in federation.labels[training]


def test_features_stay_within_fixed_bounds(federation: Federation) -> None:
    assert federation.inputs.min() >= 0
    assert federation.inputs.max() <= 3  # rates are made up here, counts are on a log scale


def test_the_table_and_the_curve_show_every_epsilon(federation: Federation) -> None:
    table = dp_utility.table(federation, [FEW], {1: [FEW], 8: [Scores(0.94, 0.7)]})
    assert "| 8 | 0." in table
    assert "| 0.940 (0.940) | 0.010 | 0.700 (0.700) |" in table
    curve = dp_utility.curve([FEW], {1: [FEW], 8: [FEW]})
    assert curve.count("<circle") == 2


def test_the_document_holds_what_was_measured() -> None:
    written = dp_utility.DOCUMENT.read_text(encoding="utf-8").split(dp_utility.BEGIN)[1].split(dp_utility.END)[0]
    for epsilon in dp_utility.EPSILONS:
        assert f"| {epsilon} | {dp_utility._multiplier_ppm(epsilon) / 1e6:.2f} |" in written
