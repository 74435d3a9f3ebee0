"""The page of one round says what is true at every point of its life, and lets operators ask for its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from federation.masking.steps import Step
from federation.models import ConfirmationRequest, Organization, Participant, TrainingRound
from federation.services import rounds
from flxdr.core.clock import ManualClock
from flxdr.env import Env
from ledger.models import Proposal
from models_ml import registry
from tests.federation.closed_rounds import MODEL, NAMES, collected
from tests.federation.conftest import clock, federation
from tests.support.federation import SimulatedFederation, constant_delta, shapes_of
from tests.support.masking import MaskedRound, random_updates

__all__ = ["clock", "federation"]
pytestmark = pytest.mark.django_db
SHAPES = shapes_of(MODEL)


@pytest.fixture
def operator() -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("kim"))
    return client


@pytest.fixture
def viewer() -> Client:
    user = User.objects.create_user("vera", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    return client


def shown(client: Client, training_round: TrainingRound, query: str = "") -> str:
    response = client.get(f"/rounds/{training_round.round_id}/{query}")
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def started(federation: SimulatedFederation, clock: ManualClock, **parameters: Any) -> TrainingRound:
    federation.enrol(*NAMES)
    return rounds.start_round(actor="operator:kim", model_name=MODEL, clock=clock, **parameters)


def test_a_round_that_collects(operator: Client, federation: SimulatedFederation, clock: ManualClock) -> None:
    opened = started(federation, clock)
    federation.submit_all(opened, constant_delta(SHAPES, 10), federation.organizations[:2])
    page = shown(operator, opened)
    assert "2 <small>of 5, 2 needed</small>" in page
    assert "org-a submitted" in page
    assert "org-c submitted" not in page
    assert page.count(">expected</span>") == 3
    assert "The model appears here when the updates are aggregated." in page
    assert "Ask to abort" in page


def test_a_deadline_that_has_passed_is_marked(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    opened = started(federation, clock)
    assert "the deadline has passed" not in shown(operator, opened)
    TrainingRound.objects.update(deadline=clock.now().replace(year=2001))
    assert "the deadline has passed" in shown(operator, opened)


def test_votes_are_counted_with_who_is_missing(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    opened = started(federation, clock)
    federation.submit_all(opened, constant_delta(SHAPES, 10))
    federation.work()
    proposal = Proposal.objects.get(status=Proposal.Status.OPEN)
    federation.organizations[0].approve(proposal)
    federation.organizations[1].reject(proposal, "worse on <our> records")
    page = shown(operator, opened)
    assert "1 <small>of 4 needed, 5 may vote</small>" in page
    assert "<dt> Missing </dt> <dd> org-c, org-d, org-e </dd>" in page
    assert "worse on &lt;our&gt; records" in page
    assert "waits for approvals" in page


def test_a_release_names_its_block_and_how_to_recompute_it(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    opened = collected(federation, clock)
    clock.advance(timedelta(minutes=5))
    federation.settle()
    page = shown(operator, opened)
    assert "completed" in page
    assert "--recompute" in page
    opened.refresh_from_db()
    assert f"sealed in block {opened.result.block_height}" in page
    assert "collection 0 s" in page
    assert "aggregation 5 min 0 s" in page
    assert "Ask to abort" not in page
    assert "data-refresh=" not in page


def test_conspicuous_updates_say_why(operator: Client, federation: SimulatedFederation, clock: ManualClock) -> None:
    opened = collected(
        federation, clock, aggregation_method="RobustAggregator", aggregation_params={"robust_method": "multi_krum"}
    )
    federation.settle()
    row = shown(operator, opened).split("Org E")[1].split("</tr>")[0]
    assert "left out" in row
    assert "farther from its neighbours" in row
    assert "fill-bad" in row
    assert "unsigned" in row


def test_a_failure_says_what_to_do(operator: Client, federation: SimulatedFederation, clock: ManualClock) -> None:
    opened = started(federation, clock, timeout=60)
    clock.advance(timedelta(minutes=2))
    rounds.close_collection(round_id=opened.round_id, clock=clock)
    page = shown(operator, opened)
    assert "too_few_submissions" in page
    assert "Fewer updates came than the round needs." in page
    assert "The round ended without a model." in page
    assert page.count("no update by the deadline") == 5


def test_charges_and_noise(
    operator: Client, federation: SimulatedFederation, clock: ManualClock, env: Callable[..., Env]
) -> None:
    env(privacy_mode="record")
    opened = started(federation, clock)
    page = shown(operator, opened)
    assert "ε of this round alone" in page
    assert page.count(">reserved</span>") == 6  # one an organisation, one for all
    env(privacy_mode="none", privacy_required=False)
    other = rounds.start_round(actor="operator", model_name="edge-normaliser", clock=clock)
    page = shown(operator, other)
    assert "gives no differential-privacy guarantee" in page


def test_a_masked_round_shows_its_steps_and_no_norms(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    federation.enrol(*NAMES)
    updates = random_updates(NAMES, registry.MODELS["edge-normaliser"].schema.size)
    masked = MaskedRound.start(
        federation, clock, updates, absent={"org-e": Step.SHARES}, model_name="edge-normaliser", min_orgs=3
    )
    masked.collect(until=Step.MASKED_INPUT)
    page = shown(operator, masked.training_round)
    assert 'aria-current="step"> <span>masked updates</span>' in page
    assert "5 answered" in page
    assert "not begun" in page
    row = page.split("Org E")[1].split("</tr>")[0]
    assert "stopped answering: sharing secrets" in row
    assert "awaited: masked updates" in page.split("Org A")[1].split("</tr>")[0]
    assert ">Norm<" not in page
    assert "without org-e" in page
    masked.collect()
    federation.settle()
    page = shown(operator, masked.training_round)
    assert "completed" in page
    assert "nobody can recompute this release" in page


def test_an_unchanged_round_costs_one_304(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    opened = started(federation, clock)
    path = f"/rounds/{opened.round_id}/body"
    etag = operator.get(path)["ETag"]
    assert operator.get(path, headers={"if-none-match": etag}).status_code == 304
    federation.submit_all(opened, constant_delta(SHAPES, 10), federation.organizations[:1])
    assert operator.get(path, headers={"if-none-match": etag}).status_code == 200


def test_a_thousand_organizations_are_paged_and_cost_no_query_more(
    operator: Client,
    federation: SimulatedFederation,
    clock: ManualClock,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    opened = started(federation, clock)
    more = Organization.objects.bulk_create(
        Organization(org_id=f"zz-{number:04}", name=f"Zz {number}") for number in range(1000)
    )
    Participant.objects.bulk_create(Participant(training_round=opened, organization=each) for each in more)
    with django_assert_max_num_queries(25):
        page = shown(operator, opened, "?page=2")
    assert "51 to 100 of 1005" in page
    assert "zz-0500" not in page


@pytest.mark.parametrize("round_id", ["nothing", "%00", "a" * 300, "round-1<b>"])
def test_unknown_rounds_are_not_found(operator: Client, round_id: str) -> None:
    assert operator.get(f"/rounds/{round_id}/").status_code == 404
    assert operator.get(f"/rounds/{round_id}/body").status_code == 404


@pytest.mark.parametrize("query", ["?page=abc", "?page=0", "?page=99999999999", "?page=77"])
def test_garbage_in_the_address_changes_nothing(
    operator: Client, federation: SimulatedFederation, clock: ManualClock, query: str
) -> None:
    assert shown(operator, started(federation, clock), query)


def test_an_abort_waits_for_a_second_operator(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    opened = started(federation, clock)
    path = f"/rounds/{opened.round_id}/abort"
    page = operator.post(path, {"reason": "wrong model"}, follow=True).content.decode()
    assert "until a second operator confirms it" in page
    request = ConfirmationRequest.objects.get()
    assert (request.action, request.subject, request.reason) == ("abort_round", opened.round_id, "wrong model")
    assert "kim asked to abort this round: “wrong model”" in page
    assert "Ask to abort" not in page
    opened.refresh_from_db()
    assert opened.status == "in_progress"


def test_an_abort_without_a_reason_is_not_asked_for(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    opened = started(federation, clock)
    page = operator.post(f"/rounds/{opened.round_id}/abort", {"reason": " "}, follow=True).content.decode()
    assert "Say why" in page
    assert not ConfirmationRequest.objects.exists()


def test_an_abort_of_an_ended_round_is_refused(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    opened = collected(federation, clock)
    federation.settle()
    page = operator.post(f"/rounds/{opened.round_id}/abort", {"reason": "late"}, follow=True).content.decode()
    assert "the round is completed" in page
    assert operator.post("/rounds/nothing/abort", {"reason": "late"}).status_code == 404


def test_viewers_read_and_do_not_act(viewer: Client, federation: SimulatedFederation, clock: ManualClock) -> None:
    opened = started(federation, clock)
    assert "Ask to abort" not in shown(viewer, opened)
    assert viewer.post(f"/rounds/{opened.round_id}/abort", {"reason": "no"}).status_code == 403
    assert viewer.get(f"/rounds/{opened.round_id}/abort").status_code == 403
    assert not ConfirmationRequest.objects.exists()


def test_names_are_escaped(operator: Client, federation: SimulatedFederation, clock: ManualClock) -> None:
    opened = started(federation, clock)
    Organization.objects.filter(org_id="org-a").update(name="<script>alert(1)</script>")
    page = shown(operator, opened)
    assert "<script>alert(1)</script>" not in page
    assert "&lt;script&gt;alert(1)" in page
