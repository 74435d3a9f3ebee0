"""What organisations' data has been charged, and what is left of their budgets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.conf import settings

from privacy.dp.accountant import Release, epsilon_ppm, rounds_until_exhausted
from privacy.dp.composition import PPM
from privacy.mechanism import NONE, Mechanism
from privacy.models import BudgetEntry
from privacy.selectors.configuration import NOTES
from privacy.selectors.noise import limit_ppm, planned_mechanism, training_plan

Kind = BudgetEntry.Kind


def charged(org_ids: Sequence[str] | None = None) -> Mapping[str, tuple[Release, ...]]:
    """What each organisation's data has been charged; nothing for everyone else.

    Args:
        org_ids: whom to look at; None: everybody.
    """
    entries = BudgetEntry.objects.charged()
    if org_ids is not None:
        entries = entries.filter(account__org_id__in=org_ids)
    releases: dict[str, tuple[Release, ...]] = defaultdict(tuple)
    for entry in entries.select_related("account"):
        releases[entry.account.org_id] += (entry.release,)
    return releases


def budget(org_id: str | None = None) -> dict[str, Any]:
    """The guide's privacy budget.

    For one organisation: its own. For the federation: the largest epsilon over organisations (their records are
    disjoint; a person known to several is protected by less), and every organisation's figures.

    `rounds_until_budget_exhausted` is a number where rounds cost something, and null where they do not
    (`unlimited`: rounds declare no noise, charge nothing, and give no guarantee).
    """
    used = charged(None if org_id is None else [org_id])
    rounds = _rounds(org_id)
    delta = settings.FLXDR.privacy_delta
    largest = max(used.values(), key=lambda releases: epsilon_ppm(releases, delta), default=())
    mode = settings.FLXDR.privacy_mode
    mechanism = planned_mechanism(training_plan())
    answer = {
        **_figures(largest),
        "rounds_trained": len({round_id for kinds in rounds.values() for round_id in kinds}),
        "rounds_until_budget_exhausted": None if mechanism is None else _rounds_left(largest, mechanism),
        "unlimited": mode == NONE,
        "rounds_unprotected": len(
            {round_id for kinds in rounds.values() for round_id, kind in kinds.items() if kind == Kind.UNPROTECTED}
        ),
        "delta": settings.FLXDR.privacy_delta,
        "mode": mode,
        "note": NOTES[mode],
    }
    if org_id is not None:
        return answer | {"org_id": org_id}
    return answer | {
        "organizations": [
            {"org_id": name, **_figures(used[name]), "rounds_trained": len(rounds.get(name, ()))}
            for name in sorted(used.keys() | rounds.keys())
        ]
    }


def _rounds(org_id: str | None) -> dict[str, dict[str, str]]:
    """By organisation, the rounds that used its updates, and whether their cost was spent or they were unprotected."""
    entries = BudgetEntry.objects.filter(kind__in=(Kind.SPENT, Kind.UNPROTECTED))
    if org_id is not None:
        entries = entries.filter(account__org_id=org_id)
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for name, round_id, kind in entries.values_list("account__org_id", "round_id", "kind"):
        found[name][round_id] = kind
    return found


def _figures(releases: Iterable[Release]) -> dict[str, float]:
    """The guide's three figures for what was charged."""
    limit = limit_ppm()
    used = epsilon_ppm(releases, settings.FLXDR.privacy_delta)
    return {
        "epsilon_total": limit / PPM,
        "epsilon_used": used / PPM,
        "epsilon_remaining": max(0, limit - used) / PPM,
    }


def _rounds_left(spent: Iterable[Release], mechanism: Mechanism) -> int:
    return rounds_until_exhausted(
        spent=spent, per_round=mechanism.release, budget_ppm=limit_ppm(), delta=settings.FLXDR.privacy_delta
    )
