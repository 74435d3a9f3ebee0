"""What this organisation verifies of a Paillier round that nobody has to be trusted for: sums, openings and model.

The release names the digests of the encrypted sums and of their openings. An opening convinces whoever has the sum and
the public key; the masks that the coordinator took out of the sum cancel only if it added what was submitted.
"""

from __future__ import annotations

import numpy as np

from federation.agent.errors import CheckFailed
from federation.agent.masking import encryption
from federation.agent.masking.round import told_in, trained_roster
from federation.agent.masking.signed import refusing
from federation.agent.session import Agent
from federation.aggregation import engine, registry
from federation.aggregation.cohort import Cohort
from federation.masking import scaling
from federation.masking.ciphertexts import OpenedSums
from federation.masking.steps import Step
from federation.round_config import RoundConfig
from flxdr.core import canonical
from ledger.chain.block import Provenance
from models_ml import codec
from models_ml.codec import Int32, Tensors
from models_ml.fixed_point import add_update


def verify_sums(agent: Agent, config: RoundConfig, provenance: Provenance, parent: Tensors, candidate: Tensors) -> bool:
    """Verify the openings of the sums that a release names, and compute its model from them.

    Returns:
        Whether the model could be computed as well: not where a server optimiser goes on with a state of its own.

    Raises:
        CheckFailed: the sums or openings are not those that the release names, the openings are wrong, or the sums give
            another model.
    """
    arrangement = encryption.arrangement_of(config)
    limit = arrangement.body_bytes * max(1, len(config.participants) // 3)
    sums, openings = (
        _fetched(agent, config, name, str(provenance.privacy.get(digest)), limit)
        for name, digest in (("sums", "sum_digest"), ("openings", "opening_digest"))
    )
    public = encryption.key_of(told_in(agent, config, Step.MASKED_INPUT), config)
    with refusing():
        opened = OpenedSums.check(public, arrangement, sums, openings)
        if provenance.optimizer_state_hash is not None:
            return False
        computed = _computed(agent, config, provenance, opened)
    expected = add_update(codec.flatten(parent), computed)
    if not np.array_equal(expected, codec.flatten(candidate)):
        raise CheckFailed(
            "the model is not what the opened sums give", expected="the parent and the mean of the updates"
        )
    return True


def _fetched(agent: Agent, config: RoundConfig, name: str, digest: str, limit: int) -> bytes:
    data = agent.coordinator.get_bytes(f"federation/round/{config.round_id}/{name}", limit=limit)
    if canonical.digest(data) != digest:
        raise CheckFailed(f"the coordinator serves other {name} than the release names", expected=digest)
    return data


def _computed(agent: Agent, config: RoundConfig, provenance: Provenance, opened: OpenedSums) -> Int32:
    """The update that the round's aggregation makes of the sums, D int32."""
    roster = trained_roster(agent, config)
    trained = frozenset(provenance.training_orgs)
    members = [trained & {party.org_id for party in group.parties} for group in roster.groups]
    counted = [names for names in members if names]
    places = [int(place) for place in str(provenance.privacy.get("sums")).split(",") if place.isdecimal()]
    if len(places) != len(counted):
        raise CheckFailed(f"the release counts {len(places)} sums", expected=f"those of {len(counted)} groups")
    weights = [sum(roster.weights[name] for name in names) for names in counted]
    means = [
        scaling.mean(opened.values(place, len(names)), weight, config.frac_bits)
        for place, names, weight in zip(places, counted, weights, strict=True)
    ]
    cohort = Cohort(means, np.array(weights, dtype=np.int64), [str(place) for place in range(len(means))])
    strategy = registry.build(config.aggregation_method, config.aggregation_params)
    return engine.aggregate(strategy, cohort).update
