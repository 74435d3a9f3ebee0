"""Which aggregation can be combined with which protection, among how many organisations."""

from __future__ import annotations

from typing import Any

import pytest

from federation.aggregation import registry as aggregations
from federation.errors import IncompatibleProtection
from federation.protection import registry as protections
from federation.protection.interface import Combination
from federation.round_config import RoundConfig
from federation.services import rounds
from flxdr.core.clock import ManualClock
from tests.federation.conftest import Stored
from tests.support.federation import SimulatedFederation, constant_delta

MEANS = aggregations.MEANS
COMPARING = ("krum", "multi_krum", "norm_bounding", "centered_clipping", "geometric_median", "bulyan")
"""Robust methods that need single updates."""
LARGEST_GROUP = 200


def combination(method: str, participants: int, *keyless: str) -> Combination:
    robust = method if method in aggregations.ROBUST_METHODS else None
    strategy = aggregations.build(
        aggregations.ROBUST if robust else method, {aggregations.ROBUST_METHOD: robust} if robust else {}
    )
    return Combination(
        aggregations.ROBUST if robust else method, robust, strategy.minimum(), participants, tuple(keyless)
    )


def refusal(method: str, participants: int, *keyless: str) -> IncompatibleProtection:
    with pytest.raises(IncompatibleProtection) as refused:
        protections.get("secagg").buckets_for(combination(method, participants, *keyless))
    assert (refused.value.status, refused.value.code) == (409, "incompatible_protection")
    assert refused.value.expected
    assert "protection plain" in str(refused.value.action)
    return refused.value


def test_the_table_names_every_method() -> None:
    assert {*COMPARING, "median", "trimmed_mean"} == set(aggregations.ROBUST_METHODS)


@pytest.mark.parametrize("method", [*MEANS, *aggregations.ROBUST_METHODS])
def test_updates_in_the_clear_are_combined_in_every_way(method: str) -> None:
    for participants in (1, 2, 9, 1_000):
        assert protections.get("plain").buckets_for(combination(method, participants, "org-a")) == 0


@pytest.mark.parametrize("method", MEANS)
def test_means_are_masked_in_one_group_of_three_to_two_hundred(method: str) -> None:
    for participants in (3, 9, LARGEST_GROUP):
        assert protections.get("secagg").buckets_for(combination(method, participants)) == 0
    assert "in a sum of two" in refusal(method, 2).detail
    assert refusal(method, 2).expected == "at least 3, there are 2"
    assert refusal(method, LARGEST_GROUP + 1).expected == f"at most {LARGEST_GROUP}"
    assert "trimmed_mean" in str(refusal(method, LARGEST_GROUP + 1).action)


@pytest.mark.parametrize("method", ["median", "trimmed_mean"])
def test_what_compares_coordinates_needs_nine_for_three_buckets(method: str) -> None:
    for participants in (9, 11, 12, LARGEST_GROUP + 1):
        assert protections.get("secagg").buckets_for(combination(method, participants)) == 3
    for participants in (2, 3, 8):
        error = refusal(method, participants)
        assert error.expected == f"at least 9, there are {participants}"
        assert "choose FedAvg" in str(error.action)


@pytest.mark.parametrize("method", COMPARING)
def test_what_compares_single_updates_is_never_masked(method: str) -> None:
    for participants in (3, 9, 1_000):
        error = refusal(method, participants)
        assert error.detail.startswith(f"{method} compares single updates")
        assert "median or trimmed_mean over buckets" in str(error.expected)


@pytest.mark.parametrize("method", ["FedAvg", "median", "krum"])
def test_nobody_masks_without_a_key_on_the_chain(method: str) -> None:
    error = refusal(method, 9, "org-c", "org-h")
    assert error.detail.startswith("org-c, org-h cannot mask")
    assert "enrol with a key" in str(error.action)


@pytest.mark.django_db
class TestStart:
    """The same at the start of a round."""

    def refuse(self, clock: ManualClock, stored: Stored, match: str, **parameters: Any) -> None:
        before = stored.count()
        with pytest.raises(IncompatibleProtection, match=match):
            rounds.start_round(actor="operator", protection="secagg", clock=clock, **parameters)
        assert stored.count() == before

    def test_three_with_keys_mask_a_mean_and_nothing_else(
        self, federation: SimulatedFederation, clock: ManualClock, stored: Stored
    ) -> None:
        federation.enrol("org-a", "org-b")
        self.refuse(clock, stored, "in a sum of two", model_name="edge-normaliser")
        federation.enrol("org-c")
        robust: dict[str, Any] = {"model_name": "edge-classifier", "aggregation_method": "RobustAggregator"}
        for name, match in (("median", "needs 9 organizations"), ("krum", "compares single updates")):
            self.refuse(clock, stored, match, aggregation_params={"robust_method": name}, **robust)
        self.refuse(clock, stored, "no schema yet", model_name="global")
        started = rounds.start_round(actor="operator", model_name="edge-normaliser", protection="secagg", clock=clock)
        config = RoundConfig.decode(bytes(started.config))
        assert (started.step, started.protection, config.protection) == ("advertise", "secagg", "secagg")
        assert (config.frac_bits, config.masking_buckets, config.step_seconds) == (22, 0, 60)

    def test_one_without_a_key_keeps_everybody_in_the_clear(
        self, federation: SimulatedFederation, clock: ManualClock, stored: Stored
    ) -> None:
        federation.enrol("org-a", "org-b", "org-c")
        federation.enrol("org-k", algorithm=None)
        self.refuse(clock, stored, "org-k cannot mask", model_name="edge-normaliser")
        plain = rounds.start_round(actor="operator", model_name="edge-normaliser", clock=clock)
        assert (plain.step, RoundConfig.decode(bytes(plain.config)).step_seconds) == ("", 0)

    def test_a_model_whose_schema_an_earlier_round_fixed_can_be_masked(
        self, federation: SimulatedFederation, clock: ManualClock
    ) -> None:
        federation.enrol("org-a", "org-b", "org-c")
        first = rounds.start_round(actor="operator", model_name="global", clock=clock)
        federation.submit_all(first, constant_delta({"weights": (2, 2)}, 7))
        federation.settle()
        second = rounds.start_round(actor="operator", model_name="global", protection="secagg", clock=clock)
        assert second.step == "advertise"
