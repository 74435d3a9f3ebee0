"""What can be reached at all: exact returns of doing nothing, and of responding best to what is really going on."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from models_ml.families import BENIGN, FAMILIES
from models_ml.response import masks
from models_ml.response.actions import ACTIONS, CLOSE_BENIGN, ESCALATE, MONITOR
from models_ml.response.alerts import HORIZON, Alerts
from models_ml.response.world import (
    CONTAINS,
    CROWN_JEWEL_FACTOR,
    DAMAGE,
    DAMAGE_LEFT,
    DISRUPTION,
    DISRUPTION_OF_ATTACKED,
    EFFORT,
    OPEN_COST,
    PERSON_SOLVES,
)

Float64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_SETS = 1 << len(ACTIONS)
"""Sets of actions taken, as bits; `monitor` may be repeated and leaves no bit."""


@cache
def nothing() -> Float64:
    """Expected return of only watching, (families, 2): by family, and for crown jewels in the second column."""
    watching = HORIZON * (EFFORT[MONITOR] + OPEN_COST)
    return np.stack([-(DAMAGE_LEFT[:, 0] * stakes + watching) for stakes in (1.0, CROWN_JEWEL_FACTOR)], axis=1)


@cache
def best() -> Float64:
    """Expected return of the best response by somebody who knows the family, the same shape.

    By backward induction over the step and the set of actions taken. The masks hold, with a score of 1 for attacks and
    of 0 for the rest; no response to uncertain scores can do better on average.
    """
    values = [[_best_of(family, jewel) for jewel in (False, True)] for family in range(len(FAMILIES))]
    return np.array(values)


def _best_of(family: int, jewel: bool) -> float:
    attack = family != BENIGN
    stakes = CROWN_JEWEL_FACTOR if jewel else 1.0
    suffered = DISRUPTION * stakes * (DISRUPTION_OF_ATTACKED if attack else 1.0)
    allowed = _allowed(jewel=jewel, attack=attack)
    escalated = (np.arange(_SETS)[:, None] >> ESCALATE) & 1
    ends = 1 - (1 - CONTAINS[family]) * (1 - PERSON_SOLVES * escalated)
    ends[:, CLOSE_BENIGN] = 1.0
    after = np.arange(_SETS)[:, None] | np.where(np.arange(len(ACTIONS)) == MONITOR, 0, 1 << np.arange(len(ACTIONS)))
    value = np.zeros(_SETS)
    for step in reversed(range(HORIZON)):
        left = DAMAGE_LEFT if step == HORIZON - 1 else DAMAGE
        goes_on = value[after] - left[family, step] * stakes - OPEN_COST
        returns = -(EFFORT + suffered) + (1 - ends) * goes_on
        returns[:, CLOSE_BENIGN] -= DAMAGE_LEFT[family, step] * stakes
        value = np.where(allowed, returns, -np.inf).max(axis=1)
    return float(value[0])


def _allowed(*, jewel: bool, attack: bool) -> Bools:
    """What the masks let through after every set of actions, (sets, actions)."""
    some = np.ones(_SETS, dtype=np.int64)
    taken = (np.arange(_SETS)[:, None] >> np.arange(len(ACTIONS))) & 1
    alerts = Alerts(
        score=np.full(_SETS, float(attack)),
        family=some,
        flows=some,
        destinations=some,
        services=some,
        bytes_out=some,
        duration=np.ones(_SETS),
        crown_jewel=np.full(_SETS, jewel),
        taken=taken,
    )
    return masks.allowed(alerts)
