"""How many rounds each organisation's budget still pays for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from django.conf import settings

from privacy.dp.accountant import Release, rounds_until_exhausted
from privacy.selectors.account import charged
from privacy.selectors.noise import limit_ppm, planned_mechanism, training_plan


def runways(*, at_most: int, spent: Mapping[str, Counter[Release]] | None = None) -> dict[str, int]:
    """By organisation that was ever charged, the rounds left at the noise that the settings ask for.

    Counted up to `at_most`: looking no further keeps it cheap. Empty where rounds cost nothing.

    Args:
        spent: what `charged` gave to the caller, if it has asked.
    """
    mechanism = planned_mechanism(training_plan())
    if mechanism is None:
        return {}
    return {
        org_id: rounds_until_exhausted(
            spent=releases,
            per_round=mechanism.release,
            budget_ppm=limit_ppm(),
            delta=settings.FLXDR.privacy_delta,
            at_most=at_most,
        )
        for org_id, releases in (charged() if spent is None else spent).items()
    }
