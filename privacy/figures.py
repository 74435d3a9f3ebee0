"""The privacy budget's figures for `/metrics`.

Of single organisations there are none: their number is not bounded, and a budget is its organisation's own business.
The federation's budget is that of the organisation that has spent most, as in the API.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from flxdr.platform.metrics.figures import Figure, Sample, Source, register_source
from privacy import selectors
from privacy.dp.accountant import epsilon_ppm
from privacy.dp.composition import PPM

TOTAL = Figure("flxdr_privacy_epsilon_total", "FL_PRIVACY_EPSILON: the budget of every organisation.")
USED = Figure("flxdr_privacy_epsilon_used", "Epsilon spent and reserved by the organisation that has used most.")
REMAINING = Figure("flxdr_privacy_epsilon_remaining", "What is left of the budget of that organisation.")
CHARGED = Figure("flxdr_privacy_organizations_charged", "Organisations whose data was ever charged.")
ROUNDS_LEFT = Figure(
    "flxdr_privacy_rounds_left",
    "Rounds that the shortest budget still pays for, counted up to FL_NOTIFY_ROUNDS_LEFT + 1; unknown where rounds "
    "cost nothing.",
)
SHORT = Figure(
    "flxdr_privacy_organizations_short", "Organisations whose budget pays for at most FL_NOTIFY_ROUNDS_LEFT rounds."
)


def register() -> None:
    """Let `/metrics` tell them."""
    register_source(Source("privacy", (TOTAL, USED, REMAINING, CHARGED, ROUNDS_LEFT, SHORT), read))


def read() -> Iterator[Sample]:
    delta, limit = settings.FLXDR.privacy_delta, selectors.limit_ppm()
    charged = selectors.charged()
    used = max((epsilon_ppm(releases, delta) for releases in charged.values()), default=0)
    yield TOTAL.at(limit / PPM)
    yield USED.at(used / PPM)
    yield REMAINING.at(max(0, limit - used) / PPM)
    yield CHARGED.at(len(charged))
    few = settings.FLXDR.notify_rounds_left
    left = selectors.runways(at_most=few + 1, spent=charged)
    if selectors.planned_mechanism(selectors.training_plan()) is not None:
        yield ROUNDS_LEFT.at(min(left.values(), default=few + 1))
    yield SHORT.at(sum(rounds <= few for rounds in left.values()))
