"""Recomputing releases: the same model from the same submissions, and nothing taken from the database's word."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from federation.models import ModelVersion, Submission, TrainingRound
from federation.services import rounds
from flxdr.core.clock import ManualClock
from flxdr.platform.storage.blobs import blobs
from ledger.models import Block
from ledger.services.recomputation import RecomputationReport, recompute_releases
from models_ml import codec
from tests.api.callers import operator, organization
from tests.federation.closed_rounds import MODEL, SHAPES
from tests.support.federation import SimulatedFederation, constant_delta

pytestmark = pytest.mark.django_db

CHOICES: list[dict[str, Any]] = [
    {"aggregation_method": "FedAvg", "weighting": "samples"},
    {"aggregation_method": "FedProx"},
    {"aggregation_method": "FedAdam"},
    {"aggregation_method": "FedAvgM"},
    {"aggregation_method": "RobustAggregator", "aggregation_params": {"robust_method": "krum"}},
    {"aggregation_method": "RobustAggregator", "aggregation_params": {"robust_method": "geometric_median"}},
]


def released(federation: SimulatedFederation, clock: ManualClock, **choice: Any) -> TrainingRound:
    """A round of five members, sealed by their approvals."""
    if not federation.organizations:
        federation.enrol(*"abcde")
    started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock, **choice)
    values = dict(zip("abcde", (10, 20, 30, 40, 100_000), strict=True))
    federation.submit_all(started, lambda org_id: constant_delta(SHAPES, values[org_id] + started.number))
    federation.settle()
    started.refresh_from_db()
    assert started.status == "completed"
    return started


def recomputed() -> RecomputationReport:
    return recompute_releases(last=Block.objects.count() - 1)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_release_is_found_again_and_the_next_ones_with_their_state(
    federation: SimulatedFederation, clock: ManualClock, choice: dict[str, Any]
) -> None:
    for _ in range(3):
        released(federation, clock, **choice)
    report = recomputed()
    assert (report.matched, report.differing, report.not_recomputable) == (3, [], [])


def test_in_ranges_it_is_the_same(federation: SimulatedFederation, clock: ManualClock, env: Any) -> None:
    for _ in range(2):
        released(federation, clock, aggregation_method="FedYogi")
    env(aggregation_shard_values=16_384)
    assert recomputed().matched == 2


def other_update(training_round: TrainingRound) -> None:
    """Another update under the row of the first, as a coordinator that cheats would store it."""
    forged = blobs().put(codec.encode(constant_delta(SHAPES, 5_000)))
    row = training_round.submissions.first()
    assert row is not None
    Submission.objects.filter(pk=row.pk).update(update_digest=forged)


def other_submission(training_round: TrainingRound) -> None:
    forged = blobs().put(codec.encode(constant_delta(SHAPES, 5_000)))
    row = training_round.submissions.first()
    assert row is not None
    Submission.objects.filter(pk=row.pk).update(update_digest=forged, wire_digest=forged)


def other_samples(training_round: TrainingRound) -> None:
    row = training_round.submissions.first()
    assert row is not None
    Submission.objects.filter(pk=row.pk).update(samples=row.samples + 1)


def other_config(training_round: TrainingRound) -> None:
    config = bytes(training_round.config).replace(b'"weighting":"samples"', b'"weighting":"equal"')
    assert config != bytes(training_round.config)
    TrainingRound.objects.filter(pk=training_round.pk).update(config=config)


def no_config(training_round: TrainingRound) -> None:
    TrainingRound.objects.filter(pk=training_round.pk).update(config=b"{}")


@pytest.mark.parametrize(
    ("tamper", "field"),
    [
        (other_update, "model_hash"),
        (other_submission, "submissions_root"),
        (other_samples, "submissions_root"),
        (other_config, "config_hash"),
        (no_config, "config_hash"),
    ],
)
def test_what_was_changed_is_named(
    federation: SimulatedFederation, clock: ManualClock, tamper: Any, field: str
) -> None:
    tamper(released(federation, clock, aggregation_method="FedAvg", weighting="samples"))
    report = recomputed()
    assert [each.field for each in report.differing] == [field]
    assert not report.holds


@pytest.mark.parametrize("lost", ["update", "parent"])
def test_what_is_gone_is_not_recomputable_and_never_bad(
    federation: SimulatedFederation, clock: ManualClock, lost: str
) -> None:
    first, second = released(federation, clock), released(federation, clock)
    row = second.submissions.first()
    assert row is not None
    parent = ModelVersion.objects.get(training_round=first)
    blobs().path(row.update_digest if lost == "update" else parent.blob_digest).unlink()
    report = recomputed()
    assert (report.holds, report.matched) == (True, 1)
    assert [each.height for each in report.not_recomputable] == [Block.objects.count() - 1]
    assert "blob_not_found" in report.not_recomputable[0].field


@pytest.mark.parametrize("kept", [4, 1, 0])
def test_submissions_that_were_pruned_are_not_recomputable_and_never_bad(
    federation: SimulatedFederation, clock: ManualClock, kept: int
) -> None:
    for row in list(released(federation, clock).submissions.all())[kept:]:
        row.delete()
    report = recomputed()
    assert (report.holds, report.matched, len(report.not_recomputable)) == (True, 0, 1)


def test_a_damaged_file_is_told(federation: SimulatedFederation, clock: ManualClock) -> None:
    row = released(federation, clock).submissions.first()
    assert row is not None
    path = blobs().path(row.update_digest)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert "blob_damaged" in recomputed().not_recomputable[0].field


def test_the_command_recomputes(
    federation: SimulatedFederation, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.management.commands.verify_chain.SystemClock", lambda: clock)
    training_round = released(federation, clock)
    out = StringIO()
    call_command("verify_chain", "--recompute", "--json", stdout=out)
    assert json.loads(out.getvalue())["recomputation"] == {
        "holds": True,
        "matched": 1,
        "matched_with_conversions_on_trust": 0,
        "differing": [],
        "not_recomputable": [],
    }
    other_update(training_round)
    out = StringIO()
    with pytest.raises(SystemExit) as stopped:
        call_command("verify_chain", "--recompute", stdout=out)
    assert stopped.value.code == 1
    assert "model_hash is" in out.getvalue()


def test_the_api_recomputes_for_operators(
    federation: SimulatedFederation, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.api.blocks.SystemClock", lambda: clock)
    for _ in range(2):
        released(federation, clock)
    answer = operator().get("blockchain/ledger/verify", {"recompute": "true"}).json()
    tip = Block.objects.count() - 1
    assert answer["recomputation"]["matched"] == 2
    assert (answer["recomputation"]["from"], answer["recomputation"]["to"]) == (0, tip)
    monkeypatch.setattr("ledger.api.blocks.RECOMPUTED_PER_REQUEST", 1)
    newest = operator().get("blockchain/ledger/verify", {"recompute": "true"}).json()["recomputation"]
    assert (newest["from"], newest["matched"]) == (tip, 1)
    assert "recomputation" not in operator().get("blockchain/ledger/verify").json()
    assert operator().get("blockchain/ledger/verify", {"recompute": "yes"}).status_code == 400
    assert organization("a").get("blockchain/ledger/verify", {"recompute": "true"}).status_code == 403
