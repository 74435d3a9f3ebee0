"""The guide's walk-through at the level of the services: two organisations without keys, 2 x 2 weights, FedProx."""

from __future__ import annotations

import numpy as np
import pytest

import ledger.selectors
from federation import selectors
from federation.models import ModelVersion, TrainingRound
from federation.services import rounds
from flxdr.core import canonical
from flxdr.core.clock import ManualClock
from flxdr.platform.storage.blobs import blobs
from ledger.chain.block import parse_header, submission_leaf
from ledger.chain.merkle import verify_inclusion
from models_ml import codec
from models_ml.fixed_point import SCALE
from tests.support.factories import json_update
from tests.support.federation import SimulatedFederation

pytestmark = pytest.mark.django_db


def run_round(federation: SimulatedFederation, clock: ManualClock) -> TrainingRound:
    alpha, beta = federation.enrol("org-alpha", "org-beta", algorithm=None)
    started = rounds.start_round(
        actor="operator", round_number=1, aggregation_method="FedProx", min_orgs=2, clock=clock
    )
    alpha.submit(json_update(started.round_id, "org-alpha", [[0.1, 0.2], [0.3, 0.4]], samples=1024))
    beta.submit(json_update(started.round_id, "org-beta", [[0.5, 0.6], [0.7, 0.8]], samples=3072))
    federation.settle()
    started.refresh_from_db()
    return started


def test_a_round_ends_with_the_exact_fedprox_model(federation: SimulatedFederation, clock: ManualClock) -> None:
    completed = run_round(federation, clock)
    assert completed.status == "completed"
    version = ModelVersion.objects.get(training_round=completed)
    assert (version.version, version.status) == (1, "released")
    weights = codec.decode(blobs().get(version.blob_digest))["weights"]
    expected = np.array([[0.4, 0.5], [0.6, 0.7]]) * 0.99  # mean by samples, pulled 1 % back to the zero model
    assert weights.shape == (2, 2)
    assert np.abs(weights / SCALE - expected).max() < 2 / SCALE
    assert completed.convergence_metric == pytest.approx(float(np.linalg.norm(expected)), abs=1e-6)


def test_the_block_is_sealed_by_the_coordinator_alone(federation: SimulatedFederation, clock: ManualClock) -> None:
    completed = run_round(federation, clock)
    header = parse_header(bytes(ledger.selectors.head().header))
    assert header.type == "release"
    assert header.governance.rule == "coordinator-only"
    assert header.provenance is not None
    assert header.provenance.round_id == completed.round_id
    assert header.provenance.training_orgs == ("org-alpha", "org-beta")
    assert header.provenance.samples_total == 4096
    assert header.provenance.aggregation_params == {"lambda_ppm": 10_000}
    assert (header.provenance.weighting, header.provenance.optimizer_state_hash) == ("samples", None)
    assert header.provenance.config_hash == canonical.digest(bytes(completed.config))
    assert header.provenance.metrics_ppm == {"accuracy": 920_000, "loss": 450_000}


def test_statuses_speak_the_truth(federation: SimulatedFederation, clock: ManualClock) -> None:
    before = selectors.federation_status()
    assert (before["current_round"], before["global_model_version"], before["last_aggregation"]) == (0, "v0", None)
    completed = run_round(federation, clock)
    status = selectors.federation_status()
    assert status["current_round"] == 1
    assert (status["total_orgs"], status["active_orgs"]) == (2, 2)
    assert status["global_model_version"] == "v1"
    assert status["training_accuracy"] == 0.92
    assert status["privacy_budget_used"] == 0
    of_round = selectors.round_status(completed)
    assert (of_round["orgs_submitted"], of_round["orgs_expected"], of_round["phase"]) == (2, 2, "completed")
    assert (of_round["unprotected"], of_round["unsigned"]) == (2, 2)
    page = selectors.organizations_page(limit=1, offset=1)
    assert [entry["org_id"] for entry in page["organizations"]] == ["org-beta"]
    assert page["total"] == 2


def test_an_organization_can_prove_that_its_submission_counts(
    federation: SimulatedFederation, clock: ManualClock
) -> None:
    completed = run_round(federation, clock)
    own = selectors.own_submission("org-beta", completed.round_id)
    header = parse_header(bytes(ledger.selectors.head().header))
    assert header.provenance is not None
    leaf = submission_leaf("org-beta", own["submission_digest"], own["samples"])
    proof = [bytes.fromhex(node) for node in own["proof"]]
    root = bytes.fromhex(header.provenance.submissions_root)
    assert verify_inclusion(leaf, own["leaf_index"], own["tree_size"], proof, root)
    assert own["submissions_root"] == header.provenance.submissions_root


def test_the_next_round_builds_on_the_release(federation: SimulatedFederation, clock: ManualClock) -> None:
    first = ModelVersion.objects.get(training_round=run_round(federation, clock))
    second = rounds.start_round(actor="operator", clock=clock)
    alpha, beta = federation.organizations
    weights = codec.decode(blobs().get(first.blob_digest))["weights"] / SCALE
    alpha.submit(json_update(second.round_id, "org-alpha", weights + 0.5))
    beta.submit(json_update(second.round_id, "org-beta", weights + 0.5))
    federation.settle()
    released = ModelVersion.objects.get(training_round=second)
    assert (released.version, released.status, released.parent_hash) == (2, "released", first.model_hash)
    after = codec.decode(blobs().get(released.blob_digest))["weights"] / SCALE
    assert np.abs(after - (weights + 0.5 * 0.99)).max() < 2 / SCALE
