"""Who sees what, and with how many queries."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from federation import selectors
from federation.errors import CampaignMissing, ModelMissing, RoundMissing, SubmissionMissing
from federation.models import ModelVersion, TrainingRound
from federation.round_config import RoundConfig
from federation.services import rounds
from flxdr.core.clock import ManualClock
from ledger.models import Proposal
from tests.support.federation import SimulatedFederation, constant_delta, shapes_of

pytestmark = pytest.mark.django_db
MODEL = "edge-normaliser"
DELTA = constant_delta(shapes_of(MODEL), 1)


@pytest.fixture
def trio(federation: SimulatedFederation) -> SimulatedFederation:
    federation.enrol("org-a", "org-b")
    return federation


@pytest.fixture
def opened(trio: SimulatedFederation, clock: ManualClock) -> TrainingRound:
    started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    trio.enrol("org-outside", algorithm=None)
    return started


def test_what_waits_for_a_participant(trio: SimulatedFederation, opened: TrainingRound) -> None:
    waiting = selectors.current_round_for("org-a")
    shown = waiting["round"]
    config = RoundConfig.decode(base64.b64decode(shown["config"]))
    assert (shown["round_id"], shown["submitted"], shown["status"]) == (opened.round_id, False, "in_progress")
    assert config.config_hash == shown["config_hash"]
    assert shown["parent_hash"] == config.parent_hash
    assert waiting["proposals"] == []
    assert waiting["head"]["chain_id"] == config.chain_id
    trio.organizations[0].submit_delta(opened, DELTA)
    again = selectors.current_round_for("org-a")["round"]
    assert again["submitted"] is True


def test_votes_wait_too(trio: SimulatedFederation, opened: TrainingRound) -> None:
    trio.submit_all(opened, DELTA)
    trio.work()
    waiting = selectors.current_round_for("org-a", MODEL)
    assert [proposal["round_id"] for proposal in waiting["proposals"]] == [opened.round_id]
    trio.organizations[0].approve(Proposal.objects.get(round_id=opened.round_id))
    assert selectors.current_round_for("org-a")["proposals"] == []


def test_nothing_waits_for_others(opened: TrainingRound) -> None:
    assert selectors.current_round_for("org-outside")["round"] is None
    assert selectors.current_round_for("org-a", "edge-classifier")["round"] is None


def test_what_awaits_an_update_comes_before_what_does_not(
    trio: SimulatedFederation, opened: TrainingRound, clock: ManualClock
) -> None:
    trio.organizations[0].submit_delta(opened, DELTA)
    second = rounds.start_round(actor="operator", model_name="edge-classifier", clock=clock)
    assert selectors.current_round_for("org-a")["round"]["round_id"] == second.round_id
    assert selectors.current_round_for("org-b")["round"]["round_id"] == opened.round_id


def test_candidates_are_for_their_participants(trio: SimulatedFederation, opened: TrainingRound) -> None:
    trio.submit_all(opened, DELTA)
    trio.work()
    candidate = ModelVersion.objects.get(training_round=opened)
    assert selectors.model_by_hash(candidate.model_hash, viewer="org-a") == candidate
    assert selectors.model_by_hash(candidate.model_hash) == candidate
    with pytest.raises(ModelMissing):
        selectors.model_by_hash(candidate.model_hash, viewer="org-outside")
    trio.settle()
    assert selectors.model_by_hash(candidate.model_hash, viewer="org-outside").pk == candidate.pk


def test_a_submission_is_its_organizations_own(trio: SimulatedFederation, opened: TrainingRound) -> None:
    trio.organizations[0].submit_delta(opened, DELTA)
    own = selectors.own_submission("org-a", opened.round_id)
    assert (own["leaf_index"], own["proof"], own["submissions_root"]) == (None, None, None)
    with pytest.raises(SubmissionMissing):
        selectors.own_submission("org-b", opened.round_id)


def test_what_does_not_exist() -> None:
    with pytest.raises(RoundMissing):
        selectors.round_by_id("round-0")
    with pytest.raises(RoundMissing):
        selectors.own_submission("org-a", "round-0")
    with pytest.raises(ModelMissing):
        selectors.model_by_hash("0" * 64)
    with pytest.raises(CampaignMissing):
        selectors.campaign_detail(0)


def test_status_speaks_of_one_model(trio: SimulatedFederation, opened: TrainingRound) -> None:
    trio.submit_all(opened, DELTA)
    trio.settle()
    assert selectors.federation_status(MODEL)["global_model_version"] == "v1"
    assert selectors.federation_status()["global_model_version"] == "v0"
    assert selectors.federation_status()["current_round"] == 0


def test_pages_are_bounded(
    trio: SimulatedFederation, opened: TrainingRound, clock: ManualClock, django_assert_num_queries: Any
) -> None:
    for _ in range(3):
        rounds.abort_round(
            round_id=TrainingRound.objects.get(status="in_progress").round_id,
            actor="operator",
            reason="x",
            clock=clock,
        )
        rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    with django_assert_num_queries(2):
        page = selectors.rounds_page(MODEL, limit=2, offset=1)
    assert ([entry["round_number"] for entry in page["rounds"]], page["total"]) == ([3, 2], 4)
    with django_assert_num_queries(2):
        assert selectors.organizations_page(limit=10, offset=0)["total"] == 3
    with django_assert_num_queries(2):
        assert selectors.models_page(limit=10, offset=0)["models"][0]["status"] == "initial"
    assert selectors.models_page("global", limit=10, offset=0)["total"] == 0
    assert selectors.rounds_page("global", limit=10, offset=0)["rounds"] == []
