"""What an agent does locally for a model of a given name: train an update, evaluate a release.

The types stand in `local_task`, so that models in rooms of their own import them without importing this register.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from models_ml import metrics
from models_ml.codec import check_schema
from models_ml.dpsgd import PPM, Coins, RecordNoise, train_privately
from models_ml.edge_stream import EdgeStream
from models_ml.errors import TooFewFlows, UnknownModel
from models_ml.features import extract
from models_ml.fixed_point import add_update, difference
from models_ml.local_task import FLOW, HOST_SESSION, NO_BASIS, Basis, ClassifierTask, LocalTask, LocalUpdate, Tensors
from models_ml.local_trainer import LocalConfig, Progress, train
from models_ml.normalisation import MAX_NORMALISED, moments, normalise, private_moments
from models_ml.perceptron import Float32, logits, parameters_of, softmax
from models_ml.registry import EDGE_CLASSIFIER, EDGE_NORMALISER, MODELS, RL_POLICY, TGNN
from models_ml.response.task import RlPolicyTask
from models_ml.tgnn.task import TgnnTask

__all__ = [
    "FLOW",
    "HOST_SESSION",
    "NO_BASIS",
    "TASKS",
    "Basis",
    "ClassifierTask",
    "EdgeClassifierTask",
    "EdgeNormaliserTask",
    "LocalTask",
    "LocalUpdate",
    "Tensors",
    "classifier_for",
    "task_for",
]


def task_for(model_name: str) -> LocalTask:
    """The local task of a model.

    Raises:
        UnknownModel: no task of that name; models such as the default `global` are trained by the organisation's own
            programs and submitted over the API.
    """
    try:
        return TASKS[model_name]
    except KeyError:
        raise UnknownModel(
            f"the agent has no training task for the model {model_name!r}",
            expected=", ".join(TASKS),
            action="Update the agent, or submit this model's updates with your own client.",
        ) from None


def classifier_for(model_name: str) -> ClassifierTask:
    """The local task of a model that tells families of traffic apart.

    Raises:
        UnknownModel: there is no such task, or its model tells no families apart.
    """
    task = task_for(model_name)
    if not isinstance(task, ClassifierTask):
        classifiers = [name for name, other in TASKS.items() if isinstance(other, ClassifierTask)]
        raise UnknownModel(f"{model_name} tells no families of traffic apart", expected=" | ".join(classifiers))
    return task


class EdgeNormaliserTask:
    """Moments of the features; labels are not looked at."""

    model_name = EDGE_NORMALISER
    score_name = "in_range"
    example_unit: str | None = FLOW

    def train(
        self,
        parent: Tensors,
        data: EdgeStream,
        config: LocalConfig,
        *,
        basis: Basis = NO_BASIS,
        progress: Progress | None = None,
    ) -> LocalUpdate:
        """The distance of the local moments from the parent's. Raises TooFewFlows without records."""
        check_schema(parent, MODELS[self.model_name].schema)
        features = _features(data)
        delta = {name: difference(local, parent[name]) for name, local in moments(features).items()}
        if progress is not None:
            progress(1, 1)
        return LocalUpdate(delta=delta, samples=len(features), metrics={})

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
        """The distance of the moments, clipped and with noise, from the parent's; the number of records is public.

        Raises:
            TooFewFlows: no records.
            ValueError: more than one draw of everything, which is all that moments have a use for.
        """
        if (noise.sampling_ppm, noise.steps) != (PPM, 1):
            raise ValueError(f"moments are released once and of all records, not with {noise}")
        check_schema(parent, MODELS[self.model_name].schema)
        features = _features(data)
        local = private_moments(features, noise, coins)
        if progress is not None:
            progress(1, 1)
        delta = {name: difference(local[name], parent[name]) for name in parent}
        return LocalUpdate(delta=delta, samples=len(features), metrics={})

    def evaluate(self, tensors: Tensors, data: EdgeStream, *, basis: Basis = NO_BASIS) -> dict[str, float]:
        """`in_range`: the part of the normalised values that is not cut off, so that they still tell flows apart."""
        check_schema(tensors, MODELS[self.model_name].schema)
        features = _features(data)
        kept = np.abs(normalise(features, tensors)) < MAX_NORMALISED
        return {"n": float(len(features)), "in_range": float(kept.mean())}


class EdgeClassifierTask:
    """The edge classifier; unlabelled records are left out."""

    model_name = EDGE_CLASSIFIER
    score_name = "quadratic_score"
    example_unit: str | None = FLOW

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
        known, inputs = self._examples(parent, data, basis)
        result = train(parent, inputs, known.family, config, progress)
        trained = {name: add_update(parent[name], delta) for name, delta in result.delta.items()}
        figures = metrics.evaluate(_probabilities(trained, inputs), known.family)
        measured = {"loss": result.loss, "accuracy": figures["accuracy"]}
        return LocalUpdate(delta=result.delta, samples=len(known), metrics=measured)

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
        """DP-SGD on the labelled records. Nothing is measured: figures on the records would tell of them.

        Raises:
            TooFewFlows: no labelled records.
        """
        known, inputs = self._examples(parent, data, basis)
        delta = train_privately(parent, inputs, known.family, config, noise=noise, coins=coins, progress=progress)
        return LocalUpdate(delta=delta, samples=len(known), metrics={})

    def evaluate(self, tensors: Tensors, data: EdgeStream, *, basis: Basis = NO_BASIS) -> dict[str, float]:
        """`metrics.evaluate` on the labelled records. Raises TooFewFlows without any."""
        known = data.labelled()
        return metrics.evaluate(self.predict(tensors, known, basis=basis), known.family)

    def predict(self, tensors: Tensors, data: EdgeStream, *, basis: Basis = NO_BASIS) -> Float32:
        """Probabilities of the families, (n, families), for every record."""
        check_schema(tensors, MODELS[self.model_name].schema)
        return _probabilities(tensors, _inputs(data, basis))

    def _examples(self, parent: Tensors, data: EdgeStream, basis: Basis) -> tuple[EdgeStream, Float32]:
        """The labelled records, and what the model reads of them."""
        check_schema(parent, MODELS[self.model_name].schema)
        known = data.labelled()
        return known, _inputs(known, basis)


TASKS: Mapping[str, LocalTask] = MappingProxyType(
    {
        EDGE_CLASSIFIER: EdgeClassifierTask(),
        EDGE_NORMALISER: EdgeNormaliserTask(),
        TGNN: TgnnTask(),
        RL_POLICY: RlPolicyTask(),
    }
)


def _features(data: EdgeStream) -> Float32:
    if not len(data):
        raise TooFewFlows("there are no flow records", expected="at least one")
    return extract(data)


def _probabilities(tensors: Tensors, inputs: Float32) -> Float32:
    return softmax(logits(parameters_of(tensors), inputs))


def _inputs(data: EdgeStream, basis: Basis) -> Float32:
    features, normaliser = _features(data), basis.get(EDGE_NORMALISER)
    return features if normaliser is None else normalise(features, normaliser)
