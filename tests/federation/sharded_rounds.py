"""Rounds that workers share by shards, for the tests of what may happen on the way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from django.db import transaction

from federation.aggregation import registry
from federation.models import AggregationShard, ModelVersion, Participant, TrainingRound
from federation.services import aggregation, reconcile, rounds
from flxdr.core.clock import ManualClock
from flxdr.platform.storage.blobs import blobs
from models_ml.fixed_point import SCALE
from tests.federation.closed_rounds import MODEL, SHAPES
from tests.support.federation import SimulatedFederation

NAMES = tuple(f"org-{letter}" for letter in "abcdefg")  # as many as Bulyan needs
SIZE = sum(math.prod(shape) for shape in SHAPES.values())
STEP_SHARDS = 5
WIDTH = SIZE // STEP_SHARDS + 3  # the last range is shorter
FEWEST = 16  # as many updates count at least where ranges are cut
SHARDED = [*["measure"] * STEP_SHARDS, *["combine"] * STEP_SHARDS]


def start(federation: SimulatedFederation, clock: ManualClock, seed: int = 0, **parameters: Any) -> TrainingRound:
    """A round of seven different updates whose collection has ended."""
    if not federation.organizations:
        federation.enrol(*NAMES, algorithm=None)
    started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock, **parameters)
    rng = np.random.default_rng(seed)
    for number, organization in enumerate(federation.organizations):
        delta = {
            name: np.rint(rng.normal(0, 0.02 * (number + 1), shape) * SCALE).astype(np.int32)
            for name, shape in SHAPES.items()
        }
        organization.submit_delta(started, delta, samples=100 + 17 * number)
    started.refresh_from_db()
    assert started.status == "aggregating"
    return started


def chosen(method: str, robust: str | None) -> dict[str, Any]:
    parameters = {} if robust is None else {registry.ROBUST_METHOD: robust}
    return {"aggregation_method": method, "aggregation_params": parameters}


def begin(training_round: TrainingRound, clock: ManualClock) -> list[AggregationShard]:
    """The first step's shards."""
    assert not aggregation.aggregate_round(round_id=training_round.round_id, clock=clock)
    return list(training_round.shards.all())


def work_off(training_round: TrainingRound, clock: ManualClock) -> list[str]:
    """Do what the rows say is due until nothing is; the steps of the shards that were worked on."""
    steps = []
    while tasks := list(reconcile.due(clock=clock)):
        for task in tasks:
            if "shard_id" in task.kwargs:
                steps.append(AggregationShard.objects.get(pk=task.kwargs["shard_id"]).step)
                assert aggregation.aggregate_shard(shard_id=int(task.kwargs["shard_id"]), clock=clock)
            else:
                aggregation.aggregate_round(round_id=str(task.kwargs["round_id"]), clock=clock)
    training_round.refresh_from_db()
    return steps


def result(training_round: TrainingRound) -> dict[str, Any]:
    """Everything that an aggregation writes down, apart from what belongs to the attempt."""
    assert training_round.status == "verifying"
    version = ModelVersion.objects.get(training_round=training_round)
    parts = Participant.objects.filter(training_round=training_round).values_list(
        "organization__org_id", "status", "left_out_reason", "update_norm", "cosine", "distance", "anomaly_score"
    )
    return {
        "model": version.model_hash,
        "file": blobs().get(version.blob_digest),
        "state": version.optimizer_state_digest,
        "norm": pytest.approx(training_round.convergence_metric),
        "participants": list(parts),
    }


@contextmanager
def undone() -> Iterator[None]:
    """What the block writes to the database is taken back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
