"""How many rounds each organisation's budget still pays for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from django.conf import settings
from django.db.models import Count

from privacy.dp.accountant import Release, rounds_until_exhausted
from privacy.models import BudgetEntry
from privacy.selectors.noise import limit_ppm, planned_mechanism, training_plan

_RELEASE = ("sensitivity_ppm", "sigma_ppm", "sampling_ppm", "steps")


def runways(*, at_most: int) -> dict[str, int]:
    """By organisation that was ever charged, the rounds left at the noise that the settings ask for.

    Counted up to `at_most`: looking no further keeps it cheap. Empty where rounds cost nothing.
    """
    mechanism = planned_mechanism(training_plan())
    if mechanism is None:
        return {}
    left: dict[frozenset[tuple[Release, int]], int] = {}
    answer = {}
    for org_id, spent in _charged().items():
        history = frozenset(spent.items())  # most organisations were in the same rounds, which cost them the same
        if history not in left:
            left[history] = rounds_until_exhausted(
                spent=spent.elements(),
                per_round=mechanism.release,
                budget_ppm=limit_ppm(),
                delta=settings.FLXDR.privacy_delta,
                at_most=at_most,
            )
        answer[org_id] = left[history]
    return answer


def _charged() -> Mapping[str, Counter[Release]]:
    """What each organisation was charged, counted by the database: rounds alike are one row."""
    rows = BudgetEntry.objects.charged().order_by().values_list("account__org_id", *_RELEASE).annotate(Count("pk"))
    charged: dict[str, Counter[Release]] = defaultdict(Counter)
    for org_id, sensitivity_ppm, sigma_ppm, sampling_ppm, steps, count in rows:
        charged[org_id][Release(sensitivity_ppm, sigma_ppm, sampling_ppm, steps)] = count
    return charged
