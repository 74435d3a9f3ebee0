"""Aggregation: exact, and what ends it without a model."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import OperationalError

from federation.models import ModelVersion, Organization, Participant, Submission, TrainingRound
from federation.services import aggregation, candidates, reconcile, rounds
from federation.services.aggregation import inputs
from flxdr.core.clock import ManualClock
from flxdr.platform.storage.blobs import blobs
from ledger.models import Block, Proposal
from models_ml import codec
from models_ml.fixed_point import MAX_UPDATE_INT
from tests.federation.closed_rounds import MODEL, NAMES, SHAPES, collected
from tests.support.federation import SimulatedFederation, constant_delta


def released_delta(training_round: TrainingRound) -> set[int]:
    version = ModelVersion.objects.get(training_round=training_round)
    parent = ModelVersion.objects.get(model_name=MODEL, model_hash=version.parent_hash)
    after, before = (codec.flatten(codec.decode(blobs().get(row.blob_digest))) for row in (version, parent))
    return set((after - before).tolist())


@pytest.mark.django_db
class TestStrategies:
    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            ({"aggregation_method": "FedAvg"}, (10 + 20 + 30 + 40 + 100_000) // 5),
            ({"aggregation_method": "FedProx"}, 20_020 - 200),
            ({"aggregation_method": "RobustAggregator", "aggregation_params": {"robust_method": "median"}}, 30),
            ({"aggregation_method": "RobustAggregator", "aggregation_params": {"robust_method": "trimmed_mean"}}, 30),
            ({"aggregation_method": "RobustAggregator", "aggregation_params": {"robust_method": "multi_krum"}}, 25),
            ({"aggregation_method": "RobustAggregator", "aggregation_params": {"robust_method": "norm_bounding"}}, 24),
        ],
    )
    def test_they_are_exact(
        self, federation: SimulatedFederation, clock: ManualClock, parameters: Any, expected: int
    ) -> None:
        training_round = collected(federation, clock, weighting="equal", **parameters)
        federation.settle()
        assert released_delta(training_round) == {expected}

    def test_krum_chooses_one_and_says_who_was_left_out(
        self, federation: SimulatedFederation, clock: ManualClock
    ) -> None:
        training_round = collected(
            federation,
            clock,
            aggregation_method="RobustAggregator",
            aggregation_params={"robust_method": "krum", "byzantine": 1},
        )
        federation.settle()
        assert released_delta(training_round) <= {20, 30}
        parts = Participant.objects.filter(training_round=training_round)
        assert parts.filter(status="left_out").exclude(left_out_reason="").count() == 4
        outlier = parts.select_related("organization").get(organization__org_id="org-e")
        assert outlier.anomaly_score is not None
        assert outlier.anomaly_score > 1
        assert Organization.objects.get(org_id="org-e").left_out_count == 1
        assert sum(Organization.objects.values_list("accepted_count", flat=True)) == 1

    def test_anomaly_scores_are_noted(self, federation: SimulatedFederation, clock: ManualClock) -> None:
        training_round = collected(federation, clock, aggregation_method="FedAvg")
        federation.settle()
        scores = Participant.objects.filter(training_round=training_round)
        assert not scores.filter(anomaly_score__isnull=True).exists()
        norm = float(np.linalg.norm(np.full(sum(int(np.prod(s)) for s in SHAPES.values()), 10))) / 2**24
        assert scores.get(organization__org_id="org-a").update_norm == pytest.approx(norm)

    def test_metrics_are_weighted_by_samples(self, federation: SimulatedFederation, clock: ManualClock) -> None:
        (alpha, beta) = federation.enrol("org-a", "org-b", algorithm=None)
        started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
        alpha.submit_delta(started, constant_delta(SHAPES, 1), samples=100, metrics={"accuracy": 1.0, "loss": 2.0})
        beta.submit_delta(started, constant_delta(SHAPES, 1), samples=300, metrics={"accuracy": 0.5})
        federation.settle()
        started.refresh_from_db()
        assert started.metrics == {"accuracy": 0.625, "loss": 2.0}
        rows = list(Submission.objects.select_related("organization"))
        assert candidates.mean_metrics(rows) == {"accuracy": 625_000, "loss": 2_000_000}


@pytest.mark.django_db
class TestFailures:
    def test_a_damaged_file_fails_the_round(self, federation: SimulatedFederation, clock: ManualClock) -> None:
        training_round = collected(federation, clock)
        blobs().path(Submission.objects.all()[0].update_digest).write_bytes(b"tampered")
        assert not aggregation.aggregate_round(round_id=training_round.round_id, clock=clock)
        training_round.refresh_from_db()
        assert (training_round.status, training_round.failure_code) == ("failed", "blob_damaged")
        assert not Proposal.objects.exists()

    def test_a_model_that_leaves_its_range_fails_the_round(
        self, federation: SimulatedFederation, clock: ManualClock
    ) -> None:
        federation.enrol(*NAMES[:2], algorithm=None)
        for _ in range(16):  # 16 x 8 = 128, the bound of the format
            started = rounds.start_round(actor="operator", model_name=MODEL, aggregation_method="FedAvg", clock=clock)
            federation.submit_all(started, constant_delta(SHAPES, MAX_UPDATE_INT))
            federation.settle()
            started.refresh_from_db()
        assert (started.status, started.failure_code) == ("failed", "out_of_range")

    def test_trouble_of_the_database_gives_the_claim_back(
        self, federation: SimulatedFederation, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        training_round = collected(federation, clock)

        def locked(**_: Any) -> None:
            raise OperationalError("database is locked")

        with monkeypatch.context() as patched:
            patched.setattr(candidates, "propose", locked)
            with pytest.raises(OperationalError):
                aggregation.aggregate_round(round_id=training_round.round_id, clock=clock)
        training_round.refresh_from_db()
        assert (training_round.status, training_round.token) == ("aggregating", "")
        assert not ModelVersion.objects.filter(training_round=training_round).exists()
        assert aggregation.aggregate_round(round_id=training_round.round_id, clock=clock)

    def test_a_defect_fails_the_round_and_is_seen(
        self, federation: SimulatedFederation, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        training_round = collected(federation, clock)

        def broken(*_: Any, **__: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(inputs, "open_vector", broken)
        with pytest.raises(ZeroDivisionError):
            aggregation.aggregate_round(round_id=training_round.round_id, clock=clock)
        training_round.refresh_from_db()
        assert (training_round.status, training_round.failure_code) == ("failed", "aggregation_failed")
        assert "ZeroDivisionError" in training_round.failure_reason


@pytest.mark.django_db
class TestVotes:
    def test_without_a_quorum_the_candidate_never_becomes_the_model(
        self, federation: SimulatedFederation, clock: ManualClock
    ) -> None:
        organizations = federation.enrol(*NAMES[:3])
        started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
        federation.submit_all(started, constant_delta(SHAPES, 1))
        federation.work()
        proposal = Proposal.objects.get(round_id=started.round_id)
        organizations[0].reject(proposal)
        started.refresh_from_db()
        assert (started.status, started.failure_code) == ("failed", "quorum_not_reached")
        assert "org-a" in started.failure_reason
        assert ModelVersion.objects.get(training_round=started).status == "refused"

    def test_at_the_approval_deadline_too(self, federation: SimulatedFederation, clock: ManualClock) -> None:
        federation.enrol(*NAMES[:2])
        started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
        federation.submit_all(started, constant_delta(SHAPES, 1))
        federation.work()
        clock.advance(timedelta(seconds=301))
        reconcile.reconcile(clock=clock)
        started.refresh_from_db()
        assert (started.status, started.failure_code) == ("failed", "quorum_not_reached")
        assert started.finished_at == clock.now()

    def test_a_refused_version_gives_its_number_to_the_next(
        self, federation: SimulatedFederation, clock: ManualClock
    ) -> None:
        (alpha, _) = federation.enrol(*NAMES[:2])
        first = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
        federation.submit_all(first, constant_delta(SHAPES, 1))
        federation.work()
        alpha.reject(Proposal.objects.get(round_id=first.round_id))
        second = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
        federation.submit_all(second, constant_delta(SHAPES, 2))
        federation.settle()
        assert second.number == 2
        versions = ModelVersion.objects.filter(model_name=MODEL, version=1).order_by("id")
        assert [version.status for version in versions] == ["refused", "released"]

    def test_a_sealed_release_is_the_model(self, federation: SimulatedFederation, clock: ManualClock) -> None:
        federation.enrol(*NAMES[:3])
        started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
        federation.submit_all(started, constant_delta(SHAPES, 1))
        federation.settle()
        version = ModelVersion.objects.get(training_round=started)
        block = Block.objects.get(round_id=started.round_id)
        assert (version.status, version.block_height) == ("released", block.height)
        assert version.model_hash == block.model_hash
