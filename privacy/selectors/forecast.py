"""What rounds to come would do to the budgets of those who take part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from privacy.dp.accountant import Release, epsilon_ppm, rounds_until_exhausted
from privacy.dp.composition import PPM
from privacy.mechanism import parse
from privacy.selectors.account import charged
from privacy.selectors.noise import limit_ppm

FARTHEST = 1000
"""Rounds ahead that are looked at, or as many as are asked about: whoever can pay for so many runs out of nothing."""


@dataclass(frozen=True)
class Forecast:
    """An organisation's budget before and after rounds that it would take part in.

    Attributes:
        used, after_one, after_all: epsilon now, after one round, and after all of them.
        total: the budget.
        rounds_left: rounds alike that the budget still pays for, counted as far as is looked.
    """

    org_id: str
    used: float
    after_one: float
    after_all: float
    total: float
    rounds_left: int
    rounds: int

    @property
    def runs_out(self) -> bool:
        return self.rounds_left < self.rounds


def forecast(org_ids: Sequence[str], mechanism: Mapping[str, Any], rounds: int) -> list[Forecast]:
    """The budgets of organisations under `rounds` rounds of a mechanism, the shortest first.

    Nothing for a mechanism that charges nothing. Organisations with the same history are computed once.
    """
    parsed = parse(mechanism)
    if parsed is None:
        return []
    spent = charged(org_ids)
    known: dict[frozenset[tuple[Release, int]], tuple[float, float, float, int]] = {}
    found = []
    for org_id in org_ids:
        counts = spent.get(org_id, Counter[Release]())
        history = frozenset(counts.items())
        if history not in known:
            known[history] = _figures(counts, parsed.release, rounds)
        used, after_one, after_all, left = known[history]
        found.append(Forecast(org_id, used, after_one, after_all, limit_ppm() / PPM, left, rounds))
    return sorted(found, key=lambda each: (each.rounds_left, -each.used, each.org_id))


def _figures(spent: Counter[Release], release: Release, rounds: int) -> tuple[float, float, float, int]:
    delta = settings.FLXDR.privacy_delta
    left = rounds_until_exhausted(
        spent=spent, per_round=release, budget_ppm=limit_ppm(), delta=delta, at_most=max(FARTHEST, rounds)
    )
    used, after_one, after_all = (
        epsilon_ppm(spent + Counter({release: count}), delta) / PPM for count in (0, 1, rounds)
    )
    return used, after_one, after_all, left
