"""The policy's network: a trunk of 64-64 ReLU units, a softmax head over actions and a head of action values.

Forward and backward by hand. The heads share the trunk, and both losses go through it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.response.actions import ACTIONS, DISRUPTIVE, REVERSIBLE
from models_ml.response.alerts import STATE

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Parameters = Mapping[str, Floats]

TRUNK = (64, 64)
HEADS = frozenset({"pi.weight", "pi.bias", "q.weight", "q.bias"})
"""Tensors of the heads; the others are the trunk's."""
VALUE_UNIT = 10.0
"""The value head counts in tens of an analyst's hours."""
REVERSIBLE_MARGIN = 0.5
"""Hours by which an irreversible action must be better than the best reversible one to be advised."""

SHAPES: Mapping[str, tuple[int, ...]] = {
    "trunk1.weight": (STATE, TRUNK[0]),
    "trunk1.bias": (TRUNK[0],),
    "trunk2.weight": TRUNK,
    "trunk2.bias": (TRUNK[1],),
    "pi.weight": (TRUNK[1], len(ACTIONS)),
    "pi.bias": (len(ACTIONS),),
    "q.weight": (TRUNK[1], len(ACTIONS)),
    "q.bias": (len(ACTIONS),),
}
"""Tensors of the model by name."""


@dataclass(frozen=True)
class Outputs:
    """What the network makes of states (n, STATE); the hidden layers are kept for the way back."""

    states: Floats
    hidden1: Floats
    hidden2: Floats
    logits: Floats
    values: Floats


def forward(parameters: Parameters, states: Floats) -> Outputs:
    """Logits and values (n, actions), values in units of `VALUE_UNIT`."""
    hidden1 = np.maximum(states @ parameters["trunk1.weight"] + parameters["trunk1.bias"], 0)
    hidden2 = np.maximum(hidden1 @ parameters["trunk2.weight"] + parameters["trunk2.bias"], 0)
    logits = hidden2 @ parameters["pi.weight"] + parameters["pi.bias"]
    values = hidden2 @ parameters["q.weight"] + parameters["q.bias"]
    return Outputs(states, hidden1, hidden2, logits, values)


def backward(parameters: Parameters, outputs: Outputs, d_logits: Floats, d_values: Floats) -> dict[str, Floats]:
    """The gradient of a loss by every tensor, from its derivatives by logits and values (n, actions)."""
    d_hidden2 = d_logits @ parameters["pi.weight"].T + d_values @ parameters["q.weight"].T
    d_hidden2 *= outputs.hidden2 > 0
    d_hidden1 = (d_hidden2 @ parameters["trunk2.weight"].T) * (outputs.hidden1 > 0)
    return {
        "trunk1.weight": outputs.states.T @ d_hidden1,
        "trunk1.bias": d_hidden1.sum(axis=0),
        "trunk2.weight": outputs.hidden1.T @ d_hidden2,
        "trunk2.bias": d_hidden2.sum(axis=0),
        "pi.weight": outputs.hidden2.T @ d_logits,
        "pi.bias": d_logits.sum(axis=0),
        "q.weight": outputs.hidden2.T @ d_values,
        "q.bias": d_values.sum(axis=0),
    }


def under_heads(tensors: Mapping[str, Int32], heads: Mapping[str, Int32]) -> dict[str, Int32]:
    """A policy's tensors with other heads, or with its own where `heads` has none."""
    return {name: heads.get(name, array) for name, array in tensors.items()}


def has_learnt(tensors: Mapping[str, Int32]) -> bool:
    """Whether the head that chooses is more than the zeros that it starts from, by which it tells no actions apart."""
    return any(bool(tensors[name].any()) for name in ("pi.weight", "pi.bias"))


def masked_softmax(logits: Floats, allowed: Bools) -> Floats:
    """Probabilities (n, actions) over the allowed actions; exactly 0 elsewhere. Every row allows at least one."""
    shown = np.where(allowed, logits, -np.inf)
    powers = np.exp(shown - shown.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def advise(outputs: Outputs, allowed: Bools) -> Int64:
    """The most probable allowed action (n,), a reversible one where an irreversible one is hardly better.

    An irreversible choice that its own value puts less than `REVERSIBLE_MARGIN` above the best allowed action which can
    be undone and disrupts nobody gives way to that one.
    """
    chosen = np.where(allowed, outputs.logits, -np.inf).argmax(axis=1)
    harmless = REVERSIBLE & ~DISRUPTIVE
    hours = np.where(allowed & harmless, outputs.values * VALUE_UNIT, -np.inf)
    alternative = hours.argmax(axis=1)
    rows = np.arange(len(chosen))
    gained = outputs.values[rows, chosen] * VALUE_UNIT - hours[rows, alternative]
    yields = (DISRUPTIVE & ~REVERSIBLE)[chosen] & (gained < REVERSIBLE_MARGIN)
    return np.asarray(np.where(yields, alternative, chosen))
