"""Campaigns: round after round, until enough are done or one fails."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from federation import selectors
from federation.errors import (
    CampaignMissing,
    CampaignRunning,
    CampaignStateConflict,
    RoundOpen,
    RoundParametersInvalid,
    TooFewOrganizations,
)
from federation.models import Campaign, TrainingRound
from federation.round_config import RoundConfig
from federation.services import campaigns, enrolment, reconcile, rounds
from flxdr.core.clock import ManualClock, SystemClock
from flxdr.management.commands.train import Command
from tests.federation.conftest import Stored
from tests.support.factories import json_update
from tests.support.federation import SimulatedFederation

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair(federation: SimulatedFederation) -> SimulatedFederation:
    federation.enrol("org-alpha", "org-beta", algorithm=None)
    return federation


def complete_round(federation: SimulatedFederation) -> None:
    """Everybody submits in the open round, and the worker does its part."""
    current = TrainingRound.objects.get(status="in_progress")
    for organization in federation.organizations:
        organization.submit(json_update(current.round_id, organization.org_id))
    federation.settle()


def test_it_runs_its_rounds_with_the_same_parameters(pair: SimulatedFederation, clock: ManualClock) -> None:
    campaign = campaigns.start_campaign(
        actor="operator", rounds=3, parameters={"aggregation_method": "FedAvg", "timeout": 60}, clock=clock
    )
    for _ in range(3):
        complete_round(pair)
    campaign.refresh_from_db()
    assert (campaign.status, campaign.finished_at) == ("completed", clock.now())
    detail = selectors.campaign_detail(campaign.pk)
    assert (detail["rounds_completed"], detail["rounds_total"], len(detail["rounds"])) == (3, 3, 3)
    configs = [RoundConfig.decode(bytes(row.config)) for row in campaign.rounds.all()]
    assert {config.aggregation_method for config in configs} == {"FedAvg"}
    assert sorted(config.parent_version for config in configs) == [0, 1, 2]


def test_it_stops_at_the_first_failure_with_the_reason(pair: SimulatedFederation, clock: ManualClock) -> None:
    campaign = campaigns.start_campaign(actor="operator", rounds=3, clock=clock)
    complete_round(pair)
    clock.advance(timedelta(seconds=600))
    reconcile.reconcile(clock=clock)
    pair.settle()
    campaign.refresh_from_db()
    assert campaign.status == "stopped"
    assert campaign.stop_reason.startswith("round 2: too_few_submissions: 0 of 2")
    assert campaign.rounds.count() == 2


def test_it_stops_when_the_next_round_is_impossible(pair: SimulatedFederation, clock: ManualClock) -> None:
    campaign = campaigns.start_campaign(actor="operator", rounds=3, clock=clock)
    current = TrainingRound.objects.get()
    for organization in pair.organizations:
        organization.submit(json_update(current.round_id, organization.org_id))
    enrolment.suspend(org_id="org-beta", actor="operator", clock=clock)
    pair.settle()
    campaign.refresh_from_db()
    assert campaign.status == "stopped"
    assert campaign.stop_reason.startswith("too_few_organizations: 1 organizations")


def test_advancing_twice_starts_one_round(pair: SimulatedFederation, clock: ManualClock) -> None:
    campaign = campaigns.start_campaign(actor="operator", rounds=3, clock=clock)
    assert campaigns.advance_campaign(campaign_id=campaign.pk, clock=clock) is None
    campaign.refresh_from_db()
    assert (campaign.rounds.count(), campaign.status) == (1, "running")
    assert campaigns.advance_campaign(campaign_id=campaign.pk + 1, clock=clock) is None


def test_reconcile_finds_a_campaign_whose_message_was_lost(
    pair: SimulatedFederation, clock: ManualClock, sent_tasks: Any
) -> None:
    campaign = campaigns.start_campaign(actor="operator", rounds=2, clock=clock)
    current = TrainingRound.objects.get()
    for organization in pair.organizations:
        organization.submit(json_update(current.round_id, organization.org_id))
    pair.work()
    assert TrainingRound.objects.count() == 1
    assert reconcile.reconcile(clock=clock) == [f"federation.tasks.advance_campaign(campaign_id={campaign.pk})"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"rounds": 0}, RoundParametersInvalid),
        ({"parameters": {"actor": "x"}}, RoundParametersInvalid),
        ({"parameters": {"min_orgs": 9}}, TooFewOrganizations),
    ],
)
def test_an_impossible_campaign_stores_nothing(
    pair: SimulatedFederation, clock: ManualClock, stored: Stored, arguments: Any, error: type[Exception]
) -> None:
    before = stored.count()
    with pytest.raises(error):
        campaigns.start_campaign(actor="operator", clock=clock, **arguments)
    assert stored.count() == before


def test_one_runs_per_model(pair: SimulatedFederation, clock: ManualClock) -> None:
    campaigns.start_campaign(actor="operator", clock=clock)
    with pytest.raises(CampaignRunning):
        campaigns.start_campaign(actor="operator", clock=clock)


def test_it_does_not_start_over_an_open_round(pair: SimulatedFederation, clock: ManualClock) -> None:
    rounds.start_round(actor="operator", clock=clock)
    with pytest.raises(RoundOpen):
        campaigns.start_campaign(actor="operator", clock=clock)
    assert not Campaign.objects.exists()


def test_aborting_ends_it_and_its_round(pair: SimulatedFederation, clock: ManualClock) -> None:
    campaign = campaigns.start_campaign(actor="operator", clock=clock)
    campaigns.abort_campaign(campaign_id=campaign.pk, actor="operator:kim", reason="enough", clock=clock)
    campaign.refresh_from_db()
    assert (campaign.status, campaign.stop_reason) == ("stopped", "aborted: enough")
    assert TrainingRound.objects.get().failure_code == "aborted"
    with pytest.raises(CampaignStateConflict):
        campaigns.abort_campaign(campaign_id=campaign.pk, actor="operator:kim", reason="again", clock=clock)
    with pytest.raises(CampaignMissing):
        campaigns.abort_campaign(campaign_id=0, actor="operator:kim", reason="none", clock=clock)


class TestTrainCommand:
    """`manage.py train`, with the federation at work whenever the command waits."""

    @pytest.fixture
    def clock(self) -> SystemClock:
        return SystemClock()

    def test_it_follows_to_the_end(self, pair: SimulatedFederation, capsys: pytest.CaptureFixture[str]) -> None:
        call_command(Command(pause=lambda _: complete_round(pair)), rounds=2)
        printed = capsys.readouterr()
        assert "2 rounds of global completed, v2" in printed.out
        assert "2/2" in printed.err

    def test_a_stopped_campaign_fails_the_command(self, pair: SimulatedFederation) -> None:
        def stop(_: float) -> None:
            current = TrainingRound.objects.get()
            rounds.abort_round(round_id=current.round_id, actor="operator", reason="enough", clock=pair.clock)

        with pytest.raises(CommandError, match="stopped after 0 of 2 rounds: round 1: aborted: enough"):
            call_command(Command(pause=stop), rounds=2)

    @pytest.mark.parametrize("arguments", [{"model": "no-such-model"}, {"rounds": 0}])
    def test_what_cannot_start_fails_the_command(self, pair: SimulatedFederation, arguments: Any) -> None:
        with pytest.raises(CommandError):
            call_command("train", **arguments)

    def test_it_chooses_the_aggregation(self, pair: SimulatedFederation) -> None:
        pair.enrol("org-gamma")
        choice = ["--aggregation-method", "RobustAggregator", "--robust-method", "trimmed_mean"]
        choice += ["--aggregation-params", "trim_ppm=300000", "--weighting", "capped"]
        call_command(Command(pause=lambda _: complete_round(pair)), "--rounds", "1", *choice)
        config = RoundConfig.decode(bytes(TrainingRound.objects.get().config))
        assert config.aggregation_method == "RobustAggregator"
        assert config.aggregation_params == {"robust_method": "trimmed_mean", "trim_ppm": 300_000}
        assert config.weighting == "capped"

    @pytest.mark.parametrize(
        ("choice", "message"),
        [
            (["--aggregation-method", "FedMagic"], "invalid choice: 'FedMagic'"),
            (["--robust-method", "mode"], "invalid choice: 'mode'"),
            (["--aggregation-params", "lambda_ppm"], "Allowed: `name=integer`"),
            (["--aggregation-params", "byzantine=1"], "FedProx takes no parameter 'byzantine'"),
            (["--robust-method", "krum"], "FedProx takes no parameter 'robust_method'"),
            (["--aggregation-method", "RobustAggregator", "--robust-method", "krum"], "choose median or trimmed_mean"),
        ],
    )
    def test_an_impossible_choice_fails_the_command(
        self, pair: SimulatedFederation, choice: list[str], message: str
    ) -> None:
        with pytest.raises(CommandError, match=message):
            call_command("train", *choice)
        assert not Campaign.objects.exists()

    def test_leaving_it_does_not_stop_the_campaign(self, pair: SimulatedFederation) -> None:
        def interrupt(_: float) -> None:
            raise KeyboardInterrupt

        with pytest.raises(CommandError, match="goes on"):
            call_command(Command(pause=interrupt), rounds=2)
        assert Campaign.objects.get().status == "running"
