"""The product's temporal graph network written in PyTorch, as the peer of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.local_trainer import MAX_GRADIENT_NORM, MOMENTUM, LocalConfig
from models_ml.tgnn.inputs import MEMORY
from models_ml.tgnn.network import BOUND, EMBEDDING, SAGE1, Batch


class TorchNetwork:
    """Parameters of the product's names and shapes, trained by autograd on one thread."""

    def __init__(self, parameters: Mapping[str, npt.NDArray[np.float64]]) -> None:
        self._torch = torch = import_module("torch")
        torch.set_num_threads(1)
        self._parameters = {
            name: torch.tensor(array, dtype=torch.float32, requires_grad=True) for name, array in parameters.items()
        }
        self._start = [value.detach().clone() for value in self._parameters.values()]
        self._optimizer: Any = None

    def step(
        self, batch: Batch, labels: npt.NDArray[np.int8], weights: npt.NDArray[np.float32], config: LocalConfig
    ) -> None:
        """One step of SGD with momentum, a bounded gradient and the proximal pull, as the product takes it."""
        torch, values = self._torch, list(self._parameters.values())
        if self._optimizer is None:
            self._optimizer = torch.optim.SGD(values, lr=config.learning_rate, momentum=MOMENTUM)
        edges, nodes, share = (torch.from_numpy(part) for part in (batch.edges, batch.nodes, batch.share))
        wanted, each = torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(weights)
        flow = self._flow(edges)
        corrected = flow.detach() + BOUND * torch.tanh(self._correction(edges, nodes, share) / BOUND)
        loss = sum(
            (torch.nn.functional.cross_entropy(logits, wanted, reduction="none") * each).sum()
            for logits in (flow, corrected)
        )
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(values, MAX_GRADIENT_NORM)
        with torch.no_grad():
            for value, start in zip(values, self._start, strict=True):
                value.grad.add_(value - start, alpha=config.proximal_mu)
        self._optimizer.step()

    def _flow(self, edges: Any) -> Any:
        hidden = self._torch.relu(self._layer("hidden1", edges))
        return self._layer("output", self._torch.relu(self._layer("hidden2", hidden)))

    def _correction(self, edges: Any, nodes: Any, share: Any) -> Any:
        torch, own = self._torch, len(share)
        sage1 = torch.relu(self._layer("sage1", nodes))
        told = sage1[own:].view(own, -1, SAGE1).sum(dim=1) * share[:, None]
        embedding = torch.relu(self._layer("sage2", torch.cat((sage1[:own], told, nodes[:own, MEMORY:]), dim=1)))
        joined = torch.cat((embedding.view(own // 2, 2 * EMBEDDING), edges), dim=1)
        return self._layer("correction", torch.relu(self._layer("context", joined)))

    def _layer(self, name: str, inputs: Any) -> Any:
        return self._torch.addmm(self._parameters[f"{name}.bias"], inputs, self._parameters[f"{name}.weight"])
