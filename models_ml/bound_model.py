"""A model with the releases that it builds on: what it takes to use it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_ml import metrics
from models_ml.edge_stream import EdgeStream
from models_ml.families import BENIGN
from models_ml.tasks import Basis, Tensors, classifier_for, task_for


@dataclass(frozen=True)
class BoundModel:
    """A model by name, its tensors, and the tensors of what it builds on."""

    model_name: str
    tensors: Tensors
    basis: Basis

    def evaluate(self, stream: EdgeStream) -> dict[str, float]:
        """The model's figures on the records of `stream` (`LocalTask.evaluate`)."""
        return task_for(self.model_name).evaluate(self.tensors, stream, basis=self.basis)

    def predict(self, stream: EdgeStream) -> npt.NDArray[np.float32]:
        """Probabilities of the families, (n, families).

        Raises:
            UnknownModel: the model tells no families apart.
        """
        return classifier_for(self.model_name).predict(self.tensors, stream, basis=self.basis)

    def threshold(self, held: EdgeStream) -> float:
        """An organisation's threshold for this model, from the benign records that it held out."""
        if not len(held):
            return metrics.DEFAULT_THRESHOLD
        scores = metrics.attack_probability(self.predict(held))
        return metrics.calibrated_threshold(scores[held.family == BENIGN])
