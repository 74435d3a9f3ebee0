"""The temporal graph network as a model that a federation trains."""

from __future__ import annotations

from models_ml import metrics
from models_ml.codec import check_schema
from models_ml.dpsgd import Coins, RecordNoise
from models_ml.edge_stream import EdgeStream
from models_ml.errors import TooFewFlows
from models_ml.families import UNLABELLED
from models_ml.fixed_point import add_update
from models_ml.local_task import HOST_SESSION, NO_BASIS, Basis, LocalUpdate, Tensors
from models_ml.local_trainer import LocalConfig, Progress
from models_ml.perceptron import Float32
from models_ml.registry import EDGE_NORMALISER, MODELS, TGNN
from models_ml.tgnn.inputs import inputs_of
from models_ml.tgnn.private_training import train_privately
from models_ml.tgnn.scoring import Scorer
from models_ml.tgnn.sessions import sessions_of
from models_ml.tgnn.training import train


class TgnnTask:
    """The temporal graph network. Unlabelled records are their hosts' past, and nothing to learn from.

    Noise on single records protects sessions: a source host's flows in one bin of time (`sessions`). Without noise,
    training takes single edges.
    """

    model_name = TGNN
    score_name = "quadratic_score"
    example_unit: str | None = HOST_SESSION

    def train(
        self,
        parent: Tensors,
        data: EdgeStream,
        config: LocalConfig,
        *,
        basis: Basis = NO_BASIS,
        progress: Progress | None = None,
    ) -> LocalUpdate:
        """One organisation's local epochs; `accuracy` is the trained model's on the records that it was trained on.

        Raises:
            TooFewFlows: no labelled records.
        """
        check_schema(parent, MODELS[self.model_name].schema)
        ordered = _some(data).in_time_order()
        result = train(parent, inputs_of(ordered, basis.get(EDGE_NORMALISER)), ordered.family, config, progress)
        trained = {name: add_update(parent[name], delta) for name, delta in result.delta.items()}
        figures = self.evaluate(trained, ordered, basis=basis)
        measured = {"loss": result.loss, "accuracy": figures["accuracy"]}
        return LocalUpdate(delta=result.delta, samples=int(figures["n"]), metrics=measured)

    def train_privately(
        self,
        parent: Tensors,
        data: EdgeStream,
        config: LocalConfig,
        *,
        noise: RecordNoise,
        coins: Coins,
        basis: Basis = NO_BASIS,
        progress: Progress | None = None,
    ) -> LocalUpdate:
        """DP-SGD on sessions; `samples` counts those. Nothing is measured: figures on the records would tell of them.

        Raises:
            TooFewFlows: no labelled records.
        """
        check_schema(parent, MODELS[self.model_name].schema)
        sessions = sessions_of(data, basis.get(EDGE_NORMALISER))
        delta = train_privately(parent, sessions, config, noise=noise, coins=coins, progress=progress)
        return LocalUpdate(delta=delta, samples=len(sessions), metrics={})

    def evaluate(self, tensors: Tensors, data: EdgeStream, *, basis: Basis = NO_BASIS) -> dict[str, float]:
        """`metrics.evaluate` on the labelled records. Raises TooFewFlows without any."""
        known = _some(data).family != UNLABELLED
        if not known.any():
            raise TooFewFlows("there are no labelled flow records", expected="at least one")
        return metrics.evaluate(self.predict(tensors, data, basis=basis)[known], data.family[known])

    def predict(self, tensors: Tensors, data: EdgeStream, *, basis: Basis = NO_BASIS) -> Float32:
        """Probabilities of the families, (n, families), for every record."""
        return Scorer(tensors, basis).score(_some(data)).probabilities


def _some(data: EdgeStream) -> EdgeStream:
    if not len(data):
        raise TooFewFlows("there are no flow records", expected="at least one")
    return data
