"""The response policy as a model that a federation trains.

Records become incidents by the released temporal graph network, incidents become episodes of a simulation; what leaves
is an update of the policy, no incident. Personal heads: an organisation may share the trunk alone and keep both heads,
in which its own hosts' worth and its own habits end up (`RlPolicyTask(personal_heads=True)`; Arivazhagan et al. 2019).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models_ml.codec import Int32, check_schema
from models_ml.dpsgd import Coins, RecordNoise
from models_ml.edge_stream import EdgeStream
from models_ml.errors import BasisMissing, RecordNoiseNotOffered, TooFewFlows
from models_ml.fixed_point import add_update
from models_ml.local_task import NO_BASIS, Basis, LocalUpdate, Tensors
from models_ml.local_trainer import LocalConfig, Progress
from models_ml.perceptron import parameters_of
from models_ml.registry import MODELS, RL_POLICY, TGNN
from models_ml.response.incidents import Incidents, incidents
from models_ml.response.judging import by_policy, play
from models_ml.response.policy import HEADS, under_heads
from models_ml.response.training import train
from models_ml.tgnn.scoring import Scorer

EVALUATED = 4000
"""Episodes of an evaluation; they are the same for every policy on the same incidents."""
EVALUATION_SEED = 20_260_105
TRUNK_TENSORS = frozenset(tensor.name for tensor in MODELS[RL_POLICY].schema.tensors) - HEADS


class RlPolicyTask:
    """The response policy. Incidents without a labelled flow are left out.

    Args:
        personal_heads: train the shared trunk under heads that never leave; `heads` are the organisation's own.
        heads: tensors of both heads, or None for those of the parent.
    """

    model_name = RL_POLICY
    score_name = "normalised_return"
    example_unit: str | None = None

    def __init__(self, *, personal_heads: bool = False, heads: Mapping[str, Int32] | None = None) -> None:
        self._personal = personal_heads
        self._heads = dict(heads or {})

    @property
    def heads(self) -> dict[str, Int32]:
        """The organisation's own heads after training; empty where heads are shared."""
        return dict(self._heads)

    def train(
        self,
        parent: Tensors,
        data: EdgeStream,
        config: LocalConfig,
        *,
        basis: Basis = NO_BASIS,
        progress: Progress | None = None,
    ) -> LocalUpdate:
        """Train in simulation from `parent`; `samples` counts incidents.

        Measured are the policy's and the playbook's normalised returns and disruptive actions per benign incident, on
        episodes that had no part in training.

        Raises:
            TooFewFlows: no labelled records.
            BasisMissing: no temporal graph network.
        """
        check_schema(parent, MODELS[self.model_name].schema)
        bank = labelled_incidents(data, basis)
        result = train(self._own(parent), bank, config, progress=progress)
        if self._personal:
            own = self._own(parent)
            self._heads = {name: add_update(own[name], result.delta[name]) for name in HEADS}
        shared = {name: self._shared(name, delta) for name, delta in result.delta.items()}
        measured = {
            "normalised_return": result.policy.normalised,
            "playbook_return": result.playbook.normalised,
            "disruptive_per_benign": result.policy.disruptive_per_benign,
            "playbook_disruptive_per_benign": result.playbook.disruptive_per_benign,
        }
        return LocalUpdate(delta=shared, samples=len(bank), metrics=measured)

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
        """Never: an incident enters many transitions of many steps, and no bound of what one record does is known.

        Raises:
            RecordNoiseNotOffered: always. Noise on a whole organisation's update works for this model as for any.
        """
        raise RecordNoiseNotOffered(
            f"{self.model_name} is not trained with noise on single records",
            expected="noise on whole updates, or none",
            action="Start a round that protects organisations instead of records.",
        )

    def evaluate(self, tensors: Tensors, data: EdgeStream, *, basis: Basis = NO_BASIS) -> dict[str, float]:
        """`Played.figures` of the policy on episodes from the labelled records.

        Raises:
            TooFewFlows: no labelled records.
            BasisMissing: no temporal graph network.
        """
        check_schema(tensors, MODELS[self.model_name].schema)
        bank = labelled_incidents(data, basis)
        policy = by_policy(parameters_of(self._own(tensors)))
        return play(bank, policy, count=EVALUATED, seed=EVALUATION_SEED).figures()

    def _own(self, tensors: Tensors) -> dict[str, Int32]:
        return under_heads(tensors, self._heads)

    def _shared(self, name: str, delta: Int32) -> Int32:
        return np.zeros_like(delta) if self._personal and name in HEADS else delta


def labelled_incidents(data: EdgeStream, basis: Basis) -> Incidents:
    """The incidents of the records, scored and embedded by the released network, of which it is known what they were.

    Raises:
        TooFewFlows: none.
        BasisMissing: no temporal graph network.
    """
    if TGNN not in basis:
        raise BasisMissing(
            f"{RL_POLICY} reads incidents by {TGNN}, which was not given", expected=f"a release of {TGNN}"
        )
    scored = Scorer(basis[TGNN], basis).score(data)
    found = incidents(data, scored.probabilities, scored.embedding).labelled()
    if not len(found):
        raise TooFewFlows("there is no incident with a labelled flow record", expected="at least one")
    return found
