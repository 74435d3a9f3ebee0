"""Robust aggregation over the means of buckets: one liar spoils one bucket, and a lost bucket only itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from federation.masking.steps import Step
from federation.models import ModelVersion, Organization, Participant
from federation.services import aggregation
from federation.services.model_versions import load
from flxdr.core.clock import ManualClock
from flxdr.platform.models import AuditEvent
from flxdr.platform.storage.blobs import blobs
from models_ml import codec, registry
from models_ml.codec import Int32
from models_ml.fixed_point import MAX_UPDATE_INT
from tests.support.federation import SimulatedFederation
from tests.support.masking import MaskedRound

pytestmark = pytest.mark.django_db
MODEL = "edge-classifier"
SIZE = registry.MODELS[MODEL].schema.size
NINE = tuple(f"org-{letter}" for letter in "abcdefghi")
TWELVE = (*NINE, "org-j", "org-k", "org-l")
ROBUST: dict[str, dict[str, Any]] = {
    "median": {"robust_method": "median"},
    "trimmed_mean": {"robust_method": "trimmed_mean", "trim_ppm": 200_000},
}
Poison = Callable[[Int32], Int32]


def hundredfold(update: Int32) -> Int32:
    """As large as the round's bound allows."""
    return np.clip(100 * update.astype(np.int64), -MAX_UPDATE_INT, MAX_UPDATE_INT).astype(np.int32)


def flipped(update: Int32) -> Int32:
    return -update


def agreeing_updates(names: tuple[str, ...]) -> dict[str, Int32]:
    """One direction that all share, and a tenth of it noise."""
    rng = np.random.default_rng(7)
    common = rng.normal(0, 1 << 22, SIZE)
    return {name: (common + rng.normal(0, 1 << 19, SIZE)).astype(np.int32) for name in names}


def start(
    federation: SimulatedFederation, clock: ManualClock, names: tuple[str, ...], robust: str = "median", **fields: Any
) -> MaskedRound:
    federation.enrol(*names)
    return MaskedRound.start(
        federation,
        clock,
        agreeing_updates(names),
        model_name=MODEL,
        aggregation_method="RobustAggregator",
        aggregation_params=ROBUST[robust],
        weighting="equal",
        **fields,
    )


def buckets(masked: MaskedRound) -> dict[tuple[str, ...], Int32]:
    """The stored means by their organisations."""
    return {
        tuple(mean.organizations): codec.flatten(codec.decode(blobs().get(mean.update_digest)))
        for mean in masked.training_round.masked_means.order_by("index")
    }


def released(masked: MaskedRound) -> Int32:
    """Aggregate what was collected; how far the candidate is from its parent."""
    assert aggregation.aggregate_round(round_id=masked.training_round.round_id, clock=masked.clock)
    candidate = ModelVersion.objects.get(training_round=masked.training_round)
    parent = ModelVersion.objects.get(model_name=MODEL, version=0)
    return codec.flatten(load(candidate)) - codec.flatten(load(parent))


def mean(masked: MaskedRound, names: tuple[str, ...]) -> Any:
    return np.mean([masked[name].update for name in names], axis=0)


@pytest.mark.parametrize(
    ("robust", "poison"), [("median", hundredfold), ("trimmed_mean", hundredfold), ("median", flipped)]
)
def test_a_poisoner_moves_the_result_within_the_honest_buckets(
    federation: SimulatedFederation, clock: ManualClock, robust: str, poison: Poison
) -> None:
    masked = start(federation, clock, NINE, robust)
    masked["org-e"].update = poison(masked["org-e"].update)
    masked.collect()
    moved = released(masked)
    stored = buckets(masked)
    assert sorted(name for names in stored for name in names) == list(NINE)
    assert {len(names) for names in stored} == {3}
    for names, found in stored.items():
        assert np.abs(found - mean(masked, names)).max() <= 4 + 0.5
    honest = [found for names, found in stored.items() if "org-e" not in names]
    assert (np.minimum(*honest) <= moved).all()
    assert (moved <= np.maximum(*honest)).all()
    unpoisoned = mean(masked, tuple(name for name in NINE if name != "org-e"))
    furthest = max(np.linalg.norm(found - unpoisoned) for found in honest)
    assert np.linalg.norm(moved - unpoisoned) <= np.sqrt(2) * furthest
    assert np.linalg.norm(mean(masked, NINE) - unpoisoned) > 3 * np.linalg.norm(moved - unpoisoned)


def test_a_bucket_that_is_not_unmasked_is_left_out_while_enough_remain(
    federation: SimulatedFederation, clock: ManualClock
) -> None:
    masked = start(federation, clock, TWELVE, absent={"org-e": Step.UNMASK})
    masked.collect()
    released(masked)
    lost = {party.org_id for party in masked["org-e"].group.parties}
    assert sorted(name for names in buckets(masked) for name in names) == sorted(set(TWELVE) - lost)
    rows = masked.training_round.participants.values_list("organization__org_id", "status")
    assert dict(rows) == {name: "left_out" if name in lost else "submitted" for name in TWELVE}
    reasons = masked.training_round.participants.filter(status="left_out").values_list("left_out_reason", flat=True)
    assert set(reasons) == {"the sum of its group could not be unmasked"}
    counts = Organization.objects.values_list("org_id", "accepted_count", "left_out_count")
    assert set(counts) == {(name, int(name not in lost), int(name in lost)) for name in TWELVE}


def test_a_bucket_whose_sum_is_no_sum_is_left_out_while_enough_remain(
    federation: SimulatedFederation, clock: ManualClock
) -> None:
    masked = start(federation, clock, TWELVE)
    masked["org-e"].update = np.full(SIZE, 100 << 24, dtype=np.int32)
    masked.collect()
    released(masked)
    lost = {party.org_id for party in masked["org-e"].group.parties}
    assert sorted(name for names in buckets(masked) for name in names) == sorted(set(TWELVE) - lost)
    event = AuditEvent.objects.get(kind="round.bucket_lost")
    assert event.data["code"] == "sum_out_of_range"
    assert all(name in event.data["reason"] for name in lost)
    left_out = masked.training_round.participants.filter(status=Participant.Status.LEFT_OUT)
    assert set(left_out.values_list("organization__org_id", flat=True)) == lost


@pytest.mark.parametrize("lose", ["silence", "range"])
def test_of_three_buckets_none_may_be_lost(federation: SimulatedFederation, clock: ManualClock, lose: str) -> None:
    masked = start(federation, clock, NINE)
    if lose == "silence":
        masked.absent = {"org-e": Step.CONSISTENCY}
    else:
        masked["org-e"].update = np.full(SIZE, 100 << 24, dtype=np.int32)
    masked.collect()
    aggregation.aggregate_round(round_id=masked.training_round.round_id, clock=clock)
    failed = masked.refresh()
    assert failed.status == "failed"
    assert failed.failure_code == {"silence": "too_few_groups", "range": "sum_out_of_range"}[lose]
    assert not failed.masked_means.exists()


def test_without_one_of_nine_there_are_no_three_buckets(federation: SimulatedFederation, clock: ManualClock) -> None:
    masked = start(federation, clock, NINE, absent={"org-e": Step.ADVERTISE})
    masked.answer(Step.ADVERTISE)
    assert masked.training_round.failure_code == "too_few_submissions"
    assert masked.training_round.failure_reason == "8 organizations joined, 9 are needed to mask"
