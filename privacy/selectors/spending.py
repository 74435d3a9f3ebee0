"""What each organisation's budget was spent on, how much of it is left, and for how many rounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from privacy.dp.accountant import MOST_ROUNDS, Release, epsilon_ppm
from privacy.dp.composition import PPM
from privacy.models import BudgetAccount, BudgetEntry
from privacy.selectors.account import charged, rounds_left, rounds_of
from privacy.selectors.noise import limit_ppm, planned_mechanism, training_plan

MOST_POINTS = 60


@dataclass(frozen=True)
class Spending:
    """One organisation's budget.

    Attributes:
        rounds_left: at the settings of now; None where rounds cost nothing.
        with_noise, unprotected: rounds that used its updates.
    """

    org_id: str
    epsilon_used: float
    epsilon_total: float
    rounds_left: int | None
    with_noise: int
    unprotected: int

    @property
    def is_endless(self) -> bool:
        """More rounds than anybody counts."""
        return self.rounds_left is not None and self.rounds_left >= MOST_ROUNDS


@dataclass(frozen=True)
class Charge:
    """A round that an organisation's data was charged for, and its epsilon from then on."""

    round_id: str
    at: datetime
    epsilon_used: float


def budgets_page(*, search: str = "", limit: int, offset: int) -> tuple[list[Spending], int]:
    """Budgets of the organisations that were ever charged, who has spent most first, and how many there are."""
    used = charged()
    accounts = BudgetAccount.objects.all()
    if search:
        accounts = accounts.filter(org_id__icontains=search)
    delta = settings.FLXDR.privacy_delta
    names = sorted(accounts.values_list("org_id", flat=True), key=lambda name: (-epsilon_ppm(used[name], delta), name))
    shown = names[offset : offset + limit]
    return _spendings(shown, {name: used[name] for name in shown}), len(names)


def spending_of(org_id: str) -> Spending:
    """One organisation's budget; all of it is left to one that nothing was charged."""
    return _spendings([org_id], {org_id: charged([org_id])[org_id]})[0]


def charges_of(org_id: str) -> Sequence[Charge]:
    """The newest rounds that an organisation's data was charged for, oldest first, with its epsilon after each."""
    total = charged([org_id])[org_id]
    entries = BudgetEntry.objects.charged().filter(account__org_id=org_id).order_by("-pk")
    newest = list(entries[:MOST_POINTS])
    running = total - Counter(entry.release for entry in newest)
    found = []
    for entry in reversed(newest):
        running = running + Counter([entry.release])
        epsilon = epsilon_ppm(running, settings.FLXDR.privacy_delta) / PPM
        found.append(Charge(entry.round_id, entry.recorded_at, epsilon))
    return found


def entries_page(org_id: str, *, limit: int, offset: int) -> tuple[list[BudgetEntry], int]:
    """The lines of one organisation's budget, newest first, and how many there are."""
    rows = BudgetEntry.objects.filter(account__org_id=org_id).defer("statement", "signature")
    return list(rows[offset : offset + limit]), rows.count()


def _spendings(org_ids: Sequence[str], used: dict[str, Counter[Release]]) -> list[Spending]:
    mechanism = planned_mechanism(training_plan())
    rounds = rounds_of(org_ids)
    delta, total = settings.FLXDR.privacy_delta, limit_ppm() / PPM
    kinds = BudgetEntry.Kind
    return [
        Spending(
            org_id=name,
            epsilon_used=epsilon_ppm(used[name], delta) / PPM,
            epsilon_total=total,
            rounds_left=None if mechanism is None else rounds_left(used[name], mechanism),
            with_noise=rounds.get(name, {}).get(kinds.SPENT, 0),
            unprotected=rounds.get(name, {}).get(kinds.UNPROTECTED, 0),
        )
        for name in org_ids
    ]
