"""`python -m benchmarks.response [FILE] [--seeds N]`: the federated response policy against playbook, chance, nothing.

Five organisations on generated records, or on the labelled Zeek captures in FILE (records never enter the repository):
the earlier part of each for training, the later part for the test. They train a normaliser, the graph network, and
then the policy, each round with the product's own local task and equal weights; of the policy's versions the one with
the highest return on the incidents of training is taken, as long as it takes no more from benign hosts than the
playbook. All ways of responding play the same episodes of the simulation (`models_ml/response/world.py`) on incidents
of the test.

`alone` is the mean over organisations, each with as much training on its own incidents.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np

from models_ml import synthetic
from models_ml.adapters import read
from models_ml.codec import Int32
from models_ml.edge_stream import EdgeStream
from models_ml.fixed_point import add_update
from models_ml.local_task import Basis, LocalTask
from models_ml.local_trainer import LocalConfig
from models_ml.partitions import by_organization
from models_ml.perceptron import parameters_of
from models_ml.registry import EDGE_NORMALISER, MODELS, RL_POLICY, TGNN
from models_ml.response import incidents as incidents_of
from models_ml.response import training
from models_ml.response.incidents import Incidents
from models_ml.response.judging import Played, Responder, by_chance, by_playbook, by_policy, by_watching, play
from models_ml.response.task import labelled_incidents
from models_ml.tasks import task_for

SEEDS = 5
NETWORK_ROUNDS, NETWORK = 8, LocalConfig(epochs=2, batch_size=128)
POLICY_ROUNDS, POLICY = 6, LocalConfig(epochs=1, batch_size=64, learning_rate=0.01, proximal_mu=0.0)
EPISODES, CHOSEN_BY = 20_000, 4_000
TEST_SEED, CHOICE_SEED = 77, 78

Model = dict[str, Int32]


def main() -> int:
    """Print the table; the exit code is 1 when the policy is not ahead, or takes more from benign hosts than it may."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.response", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", help="labelled Zeek captures; without it: generated records")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    arguments = parser.parse_args()
    if arguments.file is None:
        partitions = synthetic.generate(0, records=4000)
    else:
        partitions = by_organization(read(arguments.file, pseudonym_key=bytes(32))[0])
    basis = trained_basis({name: part.train for name, part in partitions.items()})
    banks = {name: labelled_incidents(part.train, basis) for name, part in partitions.items()}
    test = incidents_of.concat([labelled_incidents(part.test, basis) for part in partitions.values()])
    print("| response | normalised return | return, analyst hours | disruptive actions per benign incident |")
    print("|---|---|---|---|")
    for name, responder in (("nothing", by_watching), ("chance", by_chance(1)), ("playbook", by_playbook)):
        _print(name, [_tested(test, responder)])
    playbook = _tested(test, by_playbook)
    alone, together = [], []
    for seed in range(arguments.seeds):
        alone += [_tested(test, _policy(federated({name: bank}, seed))) for name, bank in banks.items()]
        together.append(_tested(test, _policy(federated(banks, seed))))
    _print("policy, alone", alone)
    _print("policy, federated", together)
    ahead = mean(played.returns.mean() for played in together) > playbook.returns.mean()
    tame = mean(played.disruptive_per_benign for played in together) <= playbook.disruptive_per_benign
    return 0 if ahead and tame else 1


def trained_basis(streams: Mapping[str, EdgeStream]) -> Basis:
    """A normaliser and a graph network that the organisations trained together."""
    basis: dict[str, Model] = {}
    for name, rounds in ((EDGE_NORMALISER, 1), (TGNN, NETWORK_ROUNDS)):
        task, model = task_for(name), MODELS[name].initial()
        for number in range(rounds):
            config = replace(NETWORK, seed=number)
            model = _mean_of(model, [_delta(task, model, stream, config, basis) for stream in streams.values()])
        basis[name] = model
    return basis


def federated(banks: Mapping[str, Incidents], seed: int) -> Model:
    """The policy after `POLICY_ROUNDS` rounds among the owners of these incidents, its best version kept."""
    model = MODELS[RL_POLICY].initial()
    everything = incidents_of.concat(list(banks.values()))
    limit = play(everything, by_playbook, count=CHOSEN_BY, seed=CHOICE_SEED).disruptive_per_benign
    kept, rank = model, (False, -np.inf)
    for number in range(POLICY_ROUNDS):
        config = replace(POLICY, seed=1000 * seed + number)
        model = _mean_of(model, [training.train(model, bank, config).delta for bank in banks.values()])
        played = play(everything, _policy(model), count=CHOSEN_BY, seed=CHOICE_SEED)
        found = (played.disruptive_per_benign <= limit, float(played.returns.mean()))
        if found > rank:
            kept, rank = model, found
    return kept


def _delta(task: LocalTask, model: Model, stream: EdgeStream, config: LocalConfig, basis: Basis) -> Model:
    return task.train(model, stream, config, basis=basis).delta


def _mean_of(model: Model, deltas: Sequence[Mapping[str, Int32]]) -> Model:
    return {
        name: add_update(array, np.rint(np.mean([delta[name] for delta in deltas], axis=0)).astype(np.int32))
        for name, array in model.items()
    }


def _policy(model: Model) -> Responder:
    return by_policy(parameters_of(model))


def _tested(test: Incidents, responder: Responder) -> Played:
    return play(test, responder, count=EPISODES, seed=TEST_SEED)


def _print(name: str, runs: Sequence[Played]) -> None:
    columns = (
        [run.normalised for run in runs],
        [float(run.returns.mean()) for run in runs],
        [run.disruptive_per_benign for run in runs],
    )
    cells = (
        f"{mean(each):.3f}" + (f" ({min(each):.3f} to {max(each):.3f})" if len(each) > 1 else "") for each in columns
    )
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
