"""What organisations' data has been charged, and what is left of their budgets."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db.models import Count

from privacy.dp.accountant import Release, epsilon_ppm, rounds_until_exhausted
from privacy.dp.composition import PPM
from privacy.mechanism import NONE, Mechanism
from privacy.models import BudgetEntry, BudgetEntryQuerySet
from privacy.selectors.configuration import NOTES
from privacy.selectors.noise import limit_ppm, planned_mechanism, training_plan

Kind = BudgetEntry.Kind
USED = (Kind.SPENT, Kind.UNPROTECTED)
"""What says that a round used an update; of a round an organisation has one of the two."""


def charged(org_ids: Sequence[str] | None = None) -> Mapping[str, Counter[Release]]:
    """How many releases of each kind every organisation's data has been charged; nothing for everyone else.

    The database counts, so what is read grows with the organisations and with the kinds of noise they ever added, and
    not with the rounds.

    Args:
        org_ids: whom to look at; None: everybody.
    """
    entries = BudgetEntry.objects.all() if org_ids is None else BudgetEntry.objects.filter(account__org_id__in=org_ids)
    found: dict[str, Counter[Release]] = defaultdict(Counter)
    # In this order, so that what is written between the two queries is charged rather than given back.
    for name, release, count in _counted(entries.given_back(), prefix="reservation__"):
        found[name][release] -= count
    for name, release, count in _counted(entries.filter(kind=Kind.RESERVED)):
        found[name][release] += count
    return defaultdict(Counter, {name: +releases for name, releases in found.items() if +releases})


def largest_epsilon() -> float:
    """Epsilon spent and reserved, of the organisation that has used most: what `budget` gives for the federation."""
    delta = settings.FLXDR.privacy_delta
    return max((epsilon_ppm(releases, delta) for releases in charged().values()), default=0) / PPM


def budget(org_id: str | None = None) -> dict[str, Any]:
    """The guide's privacy budget.

    For one organisation: its own. For the federation: the largest epsilon over organisations (their records are
    disjoint; a person known to several is protected by less), and every organisation's figures.

    `rounds_until_budget_exhausted` is a number where rounds cost something, and null where they do not
    (`unlimited`: rounds declare no noise, charge nothing, and give no guarantee).
    """
    used = charged(None if org_id is None else [org_id])
    entries = BudgetEntry.objects.all() if org_id is None else BudgetEntry.objects.filter(account__org_id=org_id)
    trained = entries.filter(kind__in=USED)
    delta = settings.FLXDR.privacy_delta
    largest = max(used.values(), key=lambda releases: epsilon_ppm(releases, delta), default=Counter())
    mode = settings.FLXDR.privacy_mode
    mechanism = planned_mechanism(training_plan())
    answer = {
        **_figures(largest),
        "rounds_trained": _rounds(trained),
        "rounds_until_budget_exhausted": None if mechanism is None else rounds_left(largest, mechanism),
        "unlimited": mode == NONE,
        "rounds_unprotected": _rounds(trained.filter(kind=Kind.UNPROTECTED)),
        "delta": settings.FLXDR.privacy_delta,
        "mode": mode,
        "note": NOTES[mode],
    }
    if org_id is not None:
        return answer | {"org_id": org_id}
    rounds = rounds_of()
    return answer | {
        "organizations": [
            {"org_id": name, **_figures(used[name]), "rounds_trained": sum(rounds.get(name, {}).values())}
            for name in sorted(used.keys() | rounds.keys())
        ]
    }


def rounds_of(org_ids: Sequence[str] | None = None) -> Mapping[str, Mapping[str, int]]:
    """By organisation, how many rounds used its updates: with noise (`spent`), and without (`unprotected`).

    Args:
        org_ids: whom to look at; None: everybody.
    """
    entries = BudgetEntry.objects.filter(kind__in=USED)
    if org_ids is not None:
        entries = entries.filter(account__org_id__in=org_ids)
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for name, kind, count in entries.order_by().values_list("account_id", "kind").annotate(Count("pk")):
        found[name][kind] = count
    return found


def rounds_left(spent: Mapping[Release, int], mechanism: Mechanism) -> int:
    """How many more rounds of the mechanism the budget pays for."""
    return rounds_until_exhausted(
        spent=spent, per_round=mechanism.release, budget_ppm=limit_ppm(), delta=settings.FLXDR.privacy_delta
    )


def _counted(entries: BudgetEntryQuerySet, *, prefix: str = "") -> Iterator[tuple[str, Release, int]]:
    """How many of the entries each organisation has with each noise; `prefix` leads to the row that says which."""
    columns = [f"{prefix}{name}" for name in ("sensitivity_ppm", "sigma_ppm", "sampling_ppm", "steps")]
    for name, *noise, count in entries.order_by().values_list("account_id", *columns).annotate(Count("pk")):
        yield name, Release(*noise), count


def _rounds(entries: BudgetEntryQuerySet) -> int:
    return entries.order_by().values("round_id").distinct().count()


def _figures(releases: Mapping[Release, int]) -> dict[str, float]:
    """The guide's three figures for what was charged."""
    limit = limit_ppm()
    used = epsilon_ppm(releases, settings.FLXDR.privacy_delta)
    return {
        "epsilon_total": limit / PPM,
        "epsilon_used": used / PPM,
        "epsilon_remaining": max(0, limit - used) / PPM,
    }
