"""Advice for one alert: an action, why, what was masked, and who has to agree. Nothing is ever carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from models_ml.codec import Int32, check_schema
from models_ml.families import FAMILIES
from models_ml.perceptron import parameters_of
from models_ml.registry import MODELS, RL_POLICY
from models_ml.response import masks, playbook
from models_ml.response.actions import ACTIONS, NAMES, Approval
from models_ml.response.alerts import EMBEDDING, AlertContext, Alerts, observe
from models_ml.response.policy import VALUE_UNIT, advise, forward, under_heads

__all__ = ["AlertContext", "Recommendation", "Recommender"]

Float32 = npt.NDArray[np.float32]

POLICY = "policy"
PLAYBOOK = "playbook"


@dataclass(frozen=True)
class Recommendation:
    """What is advised.

    Attributes:
        action: name of the action.
        reason: why, in words.
        masked: of every action that may not be advised now, why.
        needs_approval: a person has to agree (`approval` says who) before anybody acts on it.
        approval: `none`, `analyst` or `owner`.
        source: `policy` or `playbook`.
        values: the policy's estimate of the return of every allowed action, by name; empty from the playbook.
    """

    action: str
    reason: str
    masked: Mapping[str, str]
    needs_approval: bool
    approval: str
    source: str
    values: Mapping[str, float]


class Recommender:
    """Recommends by a released policy; without one, or without an embedding, by the playbook, and says which.

    Args:
        tensors: a model `rl-policy`, or None.
        heads: the organisation's own, in the place of the model's; empty where it keeps none.

    Raises:
        SchemaMismatch: the tensors are no policy.
    """

    def __init__(
        self, tensors: Mapping[str, Int32] | None = None, *, heads: Mapping[str, Int32] = MappingProxyType({})
    ) -> None:
        self.has_own_heads = bool(heads)
        self._parameters: Mapping[str, Float32] | None = None
        if tensors is not None:
            check_schema(tensors, MODELS[RL_POLICY].schema)
            self._parameters = parameters_of(under_heads(tensors, heads))

    def recommend(self, embedding: Float32 | None, context: AlertContext) -> Recommendation:
        """Advice for one alert.

        Args:
            embedding: (EMBEDDING,), the source host's at the flow of the incident with the highest score; None where
                the detector has none.

        Raises:
            ValueError: an embedding of another length, or a context that cannot be (`Alerts.of`).
        """
        if embedding is not None and embedding.shape != (EMBEDDING,):
            raise ValueError(f"an embedding has {EMBEDDING} values, got {embedding.shape}")
        alerts = Alerts.of(context)
        allowed = masks.allowed(alerts)
        if self._parameters is None or embedding is None:
            action = int(playbook.choose(alerts, allowed)[0])
            why = playbook.reason(context.score, context.family, action)
            return _recommendation(context, action, f"{why}{_why_playbook(self._parameters)}", PLAYBOOK, {})
        outputs = forward(self._parameters, observe(embedding[None, :], alerts))
        action = int(advise(outputs, allowed)[0])
        hours = outputs.values[0] * VALUE_UNIT
        values = {NAMES[each]: round(float(hours[each]), 3) for each in np.flatnonzero(allowed[0])}
        return _recommendation(context, action, _reason(context, action, values), POLICY, values)


def _recommendation(
    context: AlertContext, action: int, reason: str, source: str, values: Mapping[str, float]
) -> Recommendation:
    approval = ACTIONS[action].approval
    return Recommendation(
        action=ACTIONS[action].name,
        reason=reason,
        masked=masks.masked(context),
        needs_approval=approval is not Approval.NONE,
        approval=approval.value,
        source=source,
        values=values,
    )


def _why_playbook(parameters: Mapping[str, Float32] | None) -> str:
    return " (no policy is released)" if parameters is None else " (the detector gives the policy no embedding)"


def _reason(context: AlertContext, action: int, values: Mapping[str, float]) -> str:
    """The policy's choice in words: what it expects of it, and of the best other action."""
    name = NAMES[action]
    others = {other: value for other, value in values.items() if other != name}
    said = f"policy: {ACTIONS[action].meaning}; expected cost {_hours(-values[name])}"
    if others:
        best = max(others, key=others.__getitem__)
        said += f", by {best} {_hours(-others[best])}"
    return f"{said} (score {context.score:.2f}, {FAMILIES[context.family]}, {len(context.past_actions)} actions so far)"


def _hours(value: float) -> str:
    return f"{value:.1f} analyst hours"
