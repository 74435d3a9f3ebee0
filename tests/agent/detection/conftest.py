"""Models that detect: trained once on flows of one seed, and released in the fake federation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from federation.agent.local_only import train_alone
from federation.agent.records import Records
from models_ml import codec
from models_ml.adapters import read
from models_ml.baselines import Baseline
from models_ml.edge_stream import EdgeStream
from models_ml.local_trainer import LocalConfig
from models_ml.validation import hold_out
from tests.agent.conftest import PEER, Bench
from tests.agent.flows import write_flows
from tests.agent.test_reviews import zeros

CLASSIFIER = "edge-classifier"
NORMALISER = "edge-normaliser"
TRAINING = LocalConfig(epochs=6, batch_size=16, learning_rate=0.02, proximal_mu=0.0, seed=1)


@dataclass(frozen=True)
class Trained:
    """A model, and the later flows that it was not trained on."""

    model: Baseline
    held: EdgeStream

    @property
    def model_hash(self) -> str:
        return codec.model_hash(codec.encode(self.model.tensors))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The edge classifier, on benign traffic and floods."""
    stream, report = read(write_flows(tmp_path_factory.mktemp("flows") / "conn.csv", seed=3))
    training, held = hold_out(stream)
    return Trained(train_alone(CLASSIFIER, Records(training, held, (report,)), rounds=1, config=TRAINING), held)


def release(bench: Bench, name: str, tensors: codec.Tensors) -> None:
    """Seal a release of these very tensors."""
    bench.coordinator.start_round(name)
    bench.coordinator.submit_for(PEER, zeros(name))
    bench.coordinator.seal_proposal(bench.coordinator.propose_release(dict(tensors)))
    bench.coordinator.config = None


@pytest.fixture
def released(bench: Bench, trained: Trained) -> Bench:
    """A federation that released the normaliser and the classifier."""
    release(bench, NORMALISER, trained.model.basis[NORMALISER])
    release(bench, CLASSIFIER, trained.model.tensors)
    return bench


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """A log that nobody trained on."""
    return write_flows(tmp_path / "new.csv", seed=7)
