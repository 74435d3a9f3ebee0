"""A small round: aggregated in one go by the worker that claimed it."""

from __future__ import annotations

from federation.services.aggregation import proposal, work
from federation.services.aggregation.claims import RoundClaim
from federation.services.aggregation.inputs import Inputs


def aggregate(claim: RoundClaim, found: Inputs) -> bool:
    """Measure, combine and propose; whether this call proposed the model."""
    everything = slice(0, found.cohort.size)
    products = work.measured(found, everything, claim.renew)
    plan = found.strategy.plan(found.cohort, products)
    part = work.combined(found, plan, everything, claim.renew)
    return proposal.commit(claim, proposal.outcome(claim, found, [part], products, plan.left_out))
