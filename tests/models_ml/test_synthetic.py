from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models_ml.adapters import read, write_conn_log
from models_ml.bound_model import BoundModel
from models_ml.comparison import centralised, federated, local_only, mean_figures
from models_ml.edge_stream import COLUMNS
from models_ml.features import extract
from models_ml.fixed_point import add_update, round_half_up_div
from models_ml.local_trainer import LocalConfig
from models_ml.partitions import Partition
from models_ml.registry import EDGE_CLASSIFIER, EDGE_NORMALISER, MODELS
from models_ml.synthetic import FAMILIES_OF, generate
from models_ml.synthetic.attacks import CAMPAIGNS
from models_ml.tasks import LocalUpdate, task_for
from models_ml.validation import hold_out

CONFIG = LocalConfig(seed=5)


@pytest.fixture(scope="module")
def partitions() -> dict[str, Partition]:
    return generate(1, records=1500)


def test_the_same_seed_gives_the_same_records(partitions: dict[str, Partition]) -> None:
    again, other = generate(1, records=1500), generate(2, records=1500)
    for name, partition in partitions.items():
        for column in COLUMNS:
            np.testing.assert_array_equal(getattr(partition.train, column), getattr(again[name].train, column))
        assert len(partition.test) != len(other[name].test)


def test_each_organisation_trains_on_its_families_and_meets_all(partitions: dict[str, Partition]) -> None:
    for name, partition in partitions.items():
        assert partition.train.family_counts().keys() == {"Benign", *FAMILIES_OF[name]}
        assert partition.test.family_counts().keys() == {"Benign", *CAMPAIGNS}
        assert partition.train.t.max() < partition.test.t.min()
        assert (np.diff(partition.train.t) >= 0).all()
        assert partition.train.captures == (name,)
    assert {family for families in FAMILIES_OF.values() for family in families} == set(CAMPAIGNS)


def test_records_pass_through_a_real_log(partitions: dict[str, Partition], tmp_path: Path) -> None:
    flows = partitions["bank"].train
    write_conn_log(flows, tmp_path / "conn.log")
    back, report = read(tmp_path / "conn.log")
    assert (report.records, report.malformed) == (len(flows), 0)
    assert back.captures == ("bank",)
    assert back.family_counts() == flows.family_counts()
    np.testing.assert_allclose(extract(back), extract(flows), atol=1e-5)


def aggregate(parent: dict[str, np.ndarray], updates: list[LocalUpdate], weights: list[int]) -> dict[str, np.ndarray]:
    return {
        name: add_update(
            parent[name],
            round_half_up_div(
                np.sum([w * u.delta[name].astype(np.int64) for w, u in zip(weights, updates, strict=True)], axis=0),
                sum(weights),
            ).astype(np.int32),
        )
        for name in parent
    }


def test_federation_pays_and_everything_is_compared_by_the_same_rules(partitions: dict[str, Partition]) -> None:
    fits = [hold_out(partition.train)[0] for partition in partitions.values()]
    moments = task_for("edge-normaliser")
    start = MODELS["edge-normaliser"].initial()
    updates = [moments.train(start, fit, CONFIG) for fit in fits]
    normaliser = aggregate(start, updates, [update.samples for update in updates])

    classify = task_for("edge-classifier")
    model = MODELS["edge-classifier"].initial()
    for number in range(6):
        updates = [
            classify.train(model, fit, LocalConfig(seed=10 * number + index), basis={EDGE_NORMALISER: normaliser})
            for index, fit in enumerate(fits)
        ]
        model = aggregate(model, updates, [1] * len(updates))

    done: list[str] = []
    alone = local_only(partitions, EDGE_CLASSIFIER, rounds=6, config=CONFIG, progress=done.append)
    together = federated(partitions, BoundModel(EDGE_CLASSIFIER, model, {EDGE_NORMALISER: normaliser}))
    pooled = centralised(partitions, EDGE_CLASSIFIER, rounds=6, config=CONFIG)

    assert done == [row.organization for row in alone] == list(partitions)
    total = sum(len(partition.test) for partition in partitions.values())
    assert {row.figures["n"] for row in (*alone, together, pooled)} == {total}
    assert together.figures["macro_binary_f1"] > mean_figures(alone)["macro_binary_f1"] + 0.15
    assert pooled.figures["macro_binary_f1"] > together.figures["macro_binary_f1"] - 0.05
    # every family is in somebody's training records, so nothing is left out of the known part
    assert together.figures["macro_binary_f1_known"] == pytest.approx(together.figures["macro_binary_f1"])
