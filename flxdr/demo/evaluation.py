"""The demo's table: alone, together, and all records in one place, on the same test records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from flxdr.demo.records import OrganizationFiles
from models_ml import comparison
from models_ml.bound_model import BoundModel
from models_ml.local_trainer import LocalConfig
from models_ml.partitions import Partition

Figures = dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """Figures of `models_ml.comparison` on the test records of all organisations.

    `unknown` of the `flows` in the test are of families that no organisation trained on.
    """

    flows: int
    unknown: int
    alone: Mapping[str, Figures]
    alone_mean: Figures
    federated: Figures
    centralised: Figures

    def rows(self) -> dict[str, Figures]:
        """The rows of the table by their names."""
        return {
            **{f"local: {name}": figures for name, figures in self.alone.items()},
            "local: mean": self.alone_mean,
            "federated": self.federated,
            "centralised": self.centralised,
        }


def compare(
    files: Mapping[str, OrganizationFiles],
    *,
    model: BoundModel,
    local: LocalConfig,
    rounds: int,
) -> Comparison:
    """Evaluate the federation's model, and train what it is compared with.

    The others see as many local epochs as the campaign had; alone there is no global model to stay close to.
    """
    partitions = {name: Partition(file.read_train(), file.read_test()) for name, file in files.items()}
    free = replace(local, proximal_mu=0.0)
    alone = comparison.local_only(partitions, model.model_name, rounds=rounds, config=free)
    trained, tested = (
        np.concatenate([getattr(partition, part).family for partition in partitions.values()])
        for part in ("train", "test")
    )
    return Comparison(
        flows=len(tested),
        unknown=int(np.sum(~np.isin(tested, trained))),
        alone={row.organization: row.figures for row in alone},
        alone_mean=comparison.mean_figures(alone),
        federated=comparison.federated(partitions, model).figures,
        centralised=comparison.centralised(partitions, model.model_name, rounds=rounds, config=free).figures,
    )
