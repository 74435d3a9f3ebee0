"""`python -m benchmarks.detection_quality ZEEK_FILE [NSL_KDD_FILE]`: detection in networks that nobody trained on.

ZEEK_FILE is the labelled Zeek data (`zeek_conn_dev.csv.gz`), whose captures are networks; records never enter the
repository. For each split some captures are left out as a whole, the owners of the others train together (FedAvg with
equal weights and FedProx, in this process), and the released models meet the captures that were left out. The temporal
graph network stands against the edge classifier: same rounds, same local settings, same normaliser. Thresholds come
from the last part of each organisation's own records; F1 is the mean over the organisations' thresholds, as each would
meet the new network with its own. The split `later` leaves out the last 30 % of every capture's time instead.

NSL_KDD_FILE is `KDDTrain+_20Percent.txt` or that gzipped: rows of one family of attacks at a time are kept from
training, and tested together with a fifth of the other rows. It has no hosts, so the perceptron learns it alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from benchmarks import dp_utility
from models_ml import local_trainer, metrics
from models_ml.adapters.reading import read
from models_ml.bound_model import BoundModel
from models_ml.codec import Int32
from models_ml.edge_stream import EdgeStream, concat
from models_ml.families import BENIGN, FAMILIES
from models_ml.features import extract
from models_ml.fixed_point import add_update
from models_ml.local_trainer import LocalConfig
from models_ml.normalisation import moments, normalise
from models_ml.partitions import ORGANIZATIONS, by_organization
from models_ml.perceptron import Float32, logits, parameters_of, softmax
from models_ml.registry import EDGE_CLASSIFIER, EDGE_NORMALISER, MODELS, TGNN
from models_ml.tgnn.inputs import inputs_of
from models_ml.tgnn.training import train as train_tgnn
from models_ml.validation import VALIDATION_FRACTION, hold_out

LEFT_OUT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Hakai bot, door lock": ("Malware-8-1", "Honeypot-7-1"),
        "Trojan, campus day 2": ("CTU50-Normal-42-day2", "Malware-42-1"),
        "Hakai, Torii, campus day 2": ("Malware-8-1", "Malware-20-1", "CTU50-Normal-42-day2"),
        "Mirai bot with its flood, lamp": ("Malware-34-1", "Honeypot-4-1"),
        "untouched: Torii, campus day 1": ("Malware-20-1", "CTU50-Normal-40-day1"),
    }
)
"""Captures that nobody trains on. Nothing was chosen by the last; the fourth holds the only flood there is."""
LATER = "later"
ROUNDS, CONFIG = 10, LocalConfig(epochs=2, batch_size=128, learning_rate=0.01, proximal_mu=0.01)
FIGURES = ("macro_binary_f1", "average_precision", "auc", "fpr_at_95_tpr")

Model = dict[str, Int32]
Trainer = Callable[[Model, LocalConfig], Mapping[str, Int32]]


@dataclass(frozen=True)
class Split:
    """What organisations train on and hold out, by owner, and the streams that nobody saw."""

    fit: Sequence[EdgeStream]
    held: Sequence[EdgeStream]
    unseen: Sequence[EdgeStream]


def main() -> int:
    """Print the tables; the exit code is 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection_quality", description=__doc__)
    parser.add_argument("zeek", type=Path)
    parser.add_argument("nsl_kdd", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", help="splits whose name contains this")
    arguments = parser.parse_args()
    stream = read(arguments.zeek, pseudonym_key=bytes(32))[0]
    print("| left out | model | macro binary F1 | AP | AUC | FPR at 95 % TPR |\n|---|---|---|---|---|---|")
    with threadpool_limits(1):
        for name in (*LEFT_OUT, LATER):
            if arguments.only is None or arguments.only in name:
                split = split_of(stream, name)
                for model, evaluate in (("edge classifier", edge_classifier), ("temporal graph network", tgnn)):
                    runs = [evaluate(split, seed) for seed in range(arguments.seeds)]
                    print(f"| {name} | {model} | " + " | ".join(_spread(runs, figure) for figure in FIGURES) + " |")
        if arguments.nsl_kdd is not None:
            print("\n| kept from training | macro binary F1 |\n|---|---|")
            for name, scores in by_family(arguments.nsl_kdd, arguments.seeds).items():
                print(f"| {name} | {mean(scores):.3f} ({min(scores):.3f} to {max(scores):.3f}) |")
    return 0


def split_of(stream: EdgeStream, name: str) -> Split:
    """Organisations' records and those left out, all labelled."""
    if name == LATER:
        parts = by_organization(stream).values()
        owned, unseen = [part.train for part in parts], [part.test for part in parts]
    else:
        known, left_out = stream.labelled(), LEFT_OUT[name]
        remaining = [[c for c in captures if c not in left_out] for captures in ORGANIZATIONS.values()]
        owned = [concat([known.of_capture(c) for c in captures]) for captures in remaining if captures]
        unseen = [known.of_capture(c) for c in left_out]
    halves = [hold_out(records) for records in owned]
    return Split([fit.in_time_order() for fit, _ in halves], [held for _, held in halves], unseen)


def edge_classifier(split: Split, seed: int) -> dict[str, float]:
    """The federated edge classifier on the streams that nobody saw."""
    normaliser = federated_moments(split.fit)
    trainers = [_edge_trainer(normalise(extract(fit), normaliser), fit.family) for fit in split.fit]
    model, basis = federated(MODELS[EDGE_CLASSIFIER].initial(), trainers, seed), {EDGE_NORMALISER: normaliser}
    return _figures(split, BoundModel(EDGE_CLASSIFIER, model, basis))


def tgnn(split: Split, seed: int) -> dict[str, float]:
    """The federated temporal graph network on the streams that nobody saw."""
    normaliser = federated_moments(split.fit)
    trainers = [_tgnn_trainer(fit, normaliser) for fit in split.fit]
    model, basis = federated(MODELS[TGNN].initial(), trainers, seed), {EDGE_NORMALISER: normaliser}
    return _figures(split, BoundModel(TGNN, model, basis))


def _edge_trainer(inputs: Float32, labels: npt.NDArray[np.int8]) -> Trainer:
    return lambda parent, config: local_trainer.train(parent, inputs, labels, config).delta


def _tgnn_trainer(fit: EdgeStream, normaliser: Mapping[str, Int32]) -> Trainer:
    inputs = inputs_of(fit, normaliser)
    return lambda parent, config: train_tgnn(parent, inputs, fit.family, config).delta


def federated_moments(streams: Sequence[EdgeStream]) -> Model:
    """The normaliser after one round weighted by samples."""
    local = [moments(extract(stream)) for stream in streams]
    total = sum(map(len, streams))
    return {
        name: np.rint(
            sum(len(part) * own[name].astype(np.float64) for part, own in zip(streams, local, strict=True)) / total
        ).astype(np.int32)
        for name in local[0]
    }


def federated(model: Model, trainers: Sequence[Trainer], seed: int) -> Model:
    """The model after `ROUNDS` rounds in which all organisations weigh the same."""
    for number in range(ROUNDS):
        config = LocalConfig(
            CONFIG.epochs, CONFIG.batch_size, CONFIG.learning_rate, CONFIG.proximal_mu, seed * ROUNDS + number
        )
        updates = [train(model, config) for train in trainers]
        model = {
            name: add_update(array, np.rint(np.mean([update[name] for update in updates], axis=0)).astype(np.int32))
            for name, array in model.items()
        }
    return model


def _figures(split: Split, model: BoundModel) -> dict[str, float]:
    probabilities = np.concatenate([model.predict(unseen) for unseen in split.unseen])
    labels = np.concatenate([unseen.family for unseen in split.unseen])
    thresholds = [model.threshold(held) for held in split.held if (held.family == BENIGN).any()]
    runs = [metrics.evaluate(probabilities, labels, threshold) for threshold in thresholds]
    return runs[0] | {"macro_binary_f1": mean(run["macro_binary_f1"] for run in runs)}


def _spread(runs: Sequence[Mapping[str, float]], figure: str) -> str:
    values = [run[figure] for run in runs]
    return f"{mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def by_family(path: Path, seeds: int) -> dict[str, list[float]]:
    """Macro binary F1 of the federated perceptron on NSL-KDD, for every family kept from training.

    Every organisation keeps a part of its rows from training and sets its threshold by the benign ones among them; the
    figure is the mean over the organisations.
    """
    whole = dp_utility.read(path)
    results: dict[str, list[float]] = {}
    for family in sorted(set(whole.labels[whole.test].tolist()) - {BENIGN}):
        results[FAMILIES[family]] = []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            owned = [rng.permutation(rows[whole.labels[rows] != family]) for rows in whole.organizations]
            cuts = [int(len(rows) * VALIDATION_FRACTION) for rows in owned]
            fit = [rows[cut:] for rows, cut in zip(owned, cuts, strict=True)]
            model = dp_utility.trained(replace(whole, organizations=fit), dp_utility.trained_plainly, seed)
            kept_out = np.flatnonzero(whole.labels == family)
            test = np.concatenate((whole.test[whole.labels[whole.test] != family], kept_out))
            scores, thresholds = _nsl_scores(whole, model, test), []
            for rows, cut in zip(owned, cuts, strict=True):
                held = rows[:cut][whole.labels[rows[:cut]] == BENIGN]
                thresholds.append(metrics.calibrated_threshold(_nsl_scores(whole, model, held)))
            attack = whole.labels[test] != BENIGN
            results[FAMILIES[family]].append(mean(metrics.macro_binary_f1(scores >= t, attack) for t in thresholds))
    return results


def _nsl_scores(data: dp_utility.Federation, model: Model, rows: npt.NDArray[np.intp]) -> metrics.Scores:
    return metrics.attack_probability(softmax(logits(parameters_of(model), data.inputs[rows])))


if __name__ == "__main__":
    sys.exit(main())
