"""The overview shows what is true, to operators only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from federation.models import Organization, Participant, TrainingRound
from federation.selectors.overview import glance_of
from federation.services import rounds
from flxdr.core.clock import ManualClock, SystemClock
from flxdr.env import Env
from flxdr.platform.models import AuditEvent
from ledger.models import Proposal
from ledger.services import passes, verified
from models_ml import registry
from privacy.models import BudgetAccount
from tests.conftest import SentTasks
from tests.federation.closed_rounds import MODEL, collected
from tests.federation.conftest import clock, federation
from tests.ledger.members import tamper
from tests.support.federation import SimulatedFederation, constant_delta, shapes_of
from tests.support.masking import MaskedRound, random_updates

__all__ = ["clock", "federation"]
pytestmark = pytest.mark.django_db
PAGES = ("/", "/overview/panels")


def text(response: Any) -> str:
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.fixture
def operator() -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("operator"))
    return client


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("staff", [None, False])
def test_others_are_sent_to_the_login(path: str, staff: bool | None) -> None:
    client = Client(headers={"host": "localhost"})
    if staff is not None:
        client.force_login(User.objects.create_user("visitor", is_staff=staff))
    response = client.get(path)
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


def test_verification_is_not_claimed_before_it_ran(operator: Client) -> None:
    assert "not verified yet" in operator.get("/").content.decode()


def test_a_verification_is_kept_as_evidence(operator: Client) -> None:
    response = operator.post("/verify-chain", follow=True)
    assert "valid: the only block verified" in response.content.decode()
    event = AuditEvent.objects.get(kind="chain.verified")
    assert event.actor == "operator:operator"
    assert event.data["valid"] is True
    assert event.data["height"] == 0


def test_a_long_chain_is_verified_in_the_background(
    operator: Client, sent_tasks: SentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified, "WHOLE_UP_TO", 0)
    page = operator.post("/verify-chain", follow=True).content.decode()
    assert "The whole chain is being verified in the background (requested)." in page
    assert "a full pass is due: 0 blocks so far" in page
    assert "not verified yet" in page
    passes.make_due_pass(clock=SystemClock())
    page = operator.get("/").content.decode()
    assert "valid: the only block verified" in page
    assert "full pass by operator:operator" in page
    assert "a full pass is due" not in page


def test_a_failed_verification_shows_where(operator: Client) -> None:
    tamper("UPDATE blocks SET header = %s", b"{}")
    page = operator.post("/verify-chain", follow=True).content.decode()
    assert "INVALID at block 0: header_malformed" in page


def test_verifying_needs_a_post(operator: Client) -> None:
    assert operator.get("/verify-chain").status_code == 405


def test_organizations_are_listed_by_state(operator: Client) -> None:
    Organization.objects.create(org_id="org-alpha", name="Alpha", status=Organization.Status.PENDING)
    Organization.objects.create(org_id="org-beta", name="Beta", status=Organization.Status.ACTIVE)
    page = operator.get("/").content.decode()
    assert "waits for an operator&#x27;s approval" in page
    assert "never connected" in page


@pytest.mark.parametrize(
    ("method", "shown", "counted"),
    [("RobustAggregator", "left out: farther from its neighbours", 0), ("FedAvg", "unlike the others, and counted", 1)],
)
def test_conspicuous_updates_are_shown_with_the_reason(operator: Client, method: str, shown: str, counted: int) -> None:
    clock = ManualClock(datetime(2100, 1, 1, tzinfo=UTC))
    federation = SimulatedFederation(clock)
    params = {"robust_method": "multi_krum"} if method == "RobustAggregator" else {}
    collected(federation, clock, aggregation_method=method, aggregation_params=params)
    federation.settle()
    page = " ".join(operator.get("/overview/panels").content.decode().split())
    row = page.partition("<dt>org-e</dt>")[2].partition("</dd>")[0]
    assert "anomaly score" in row
    assert shown in row
    assert Organization.objects.get(org_id="org-e").accepted_count == counted
    assert "<dt>org-a</dt>" not in page


@pytest.mark.parametrize(("seconds", "state"), [(90, "connected"), (150, "disconnected")])
def test_an_organization_between_two_polls_counts_as_connected(seconds: int, state: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    Organization.objects.create(
        org_id="org-alpha",
        name="Alpha",
        status=Organization.Status.ACTIVE,
        last_seen_at=now - timedelta(seconds=seconds),
    )
    assert glance_of(Organization.objects.get(), now).state == state


def test_an_unchanged_page_costs_one_304(operator: Client) -> None:
    etag = operator.get("/overview/panels")["ETag"]
    assert operator.get("/overview/panels", headers={"if-none-match": etag}).status_code == 304
    Organization.objects.create(org_id="org-alpha", name="Alpha")
    assert operator.get("/overview/panels", headers={"if-none-match": etag}).status_code == 200


def test_queries_do_not_grow_with_the_federation(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    done = collected(federation, clock)
    federation.settle()
    opened = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    with CaptureQueriesContext(connection) as small:
        operator.get("/overview/panels")
    more = Organization.objects.bulk_create(
        Organization(org_id=f"zz-{i}", name=f"Zz {i}", status=Organization.Status.ACTIVE) for i in range(1000)
    )
    Participant.objects.bulk_create(Participant(training_round=opened, organization=each) for each in more)
    BudgetAccount.objects.bulk_create(BudgetAccount(org_id=each.org_id) for each in more)
    TrainingRound.objects.bulk_create(
        TrainingRound(
            round_id=f"old-{number}",
            number=1000 + number,
            model_name=MODEL,
            status="failed",
            failure_code="aborted",
            config=done.config,
            config_hash=done.config_hash,
            aggregation_method="FedAvg",
            protection="plain",
            min_orgs=2,
            deadline=clock.now(),
            finished_at=clock.now(),
        )
        for number in range(500)
    )
    with CaptureQueriesContext(connection) as large:
        page = text(operator.get("/overview/panels"))
    assert len(large) <= len(small)
    assert page.count("zz-") < 60
    assert "and 994 others" in page


def test_an_open_round_says_who_is_missing(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    federation.enrol("org-a", "org-b", "org-c")
    opened = rounds.start_round(actor="operator", model_name=MODEL, min_orgs=2, clock=clock)
    federation.submit_all(opened, constant_delta(shapes_of(MODEL), 1), federation.organizations[:1])
    page = text(operator.get("/overview/panels"))
    assert "1 of 3, 2 needed" in page
    assert "<dt>Missing</dt> <dd> org-b, org-c </dd>" in page
    assert "the deadline has passed" not in page
    TrainingRound.objects.update(deadline=datetime(2001, 1, 1, tzinfo=UTC))
    assert "the deadline has passed" in text(operator.get("/overview/panels"))


def test_open_rounds_of_several_models_stand_together(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    federation.enrol("org-a", "org-b")
    for model in ("edge-normaliser", "edge-classifier"):
        rounds.start_round(actor="operator", model_name=model, clock=clock)
    page = text(operator.get("/overview/panels"))
    assert "edge-normaliser, round 1" in page
    assert "edge-classifier, round 1" in page


def test_without_an_open_round_the_last_one_is_shown(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    assert "No round yet" in text(operator.get("/overview/panels"))
    collected(federation, clock)
    federation.settle()
    page = text(operator.get("/overview/panels"))
    assert "Last round" in page
    assert "Current rounds" not in page
    assert "5 of 5, 2 needed" in page


def test_a_masked_round_waits_for_those_whom_its_step_asks(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    names = ("org-a", "org-b", "org-c", "org-d")
    federation.enrol(*names)
    updates = random_updates(names, registry.MODELS["edge-normaliser"].schema.size)
    masked = MaskedRound.start(federation, clock, updates, model_name="edge-normaliser", min_orgs=3)
    masked["org-a"].advertise()
    page = text(operator.get("/overview/panels"))
    assert "<dt>Missing</dt> <dd> org-b, org-c, org-d </dd>" in page
    assert ">joining</span>" in page


def test_releases_show_the_change_to_the_one_before(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    federation.enrol("org-a", "org-b")
    for quality in (0.5, 0.75):
        opened = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
        for organization in federation.organizations:
            metrics = {"macro_binary_f1": quality}
            organization.submit_delta(opened, constant_delta(shapes_of(MODEL), 1), metrics=metrics)
        federation.settle()
        clock.advance(timedelta(hours=1))
    page = text(operator.get("/overview/panels"))
    assert "macro_binary_f1 by release" in page
    assert "+0.2500" in page
    assert "v2, round 2" in page
    assert "edge-classifier: 0.75" in page  # what is read out of the chart


def test_models_without_a_metric_are_told_all_the_same(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    federation.enrol("org-a", "org-b")
    opened = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    for organization in federation.organizations:
        organization.submit_delta(opened, constant_delta(shapes_of(MODEL), 1), metrics={})
    federation.settle()
    page = text(operator.get("/overview/panels"))
    assert "No released round has reported a metric yet." in page
    assert "v1, round 1" in page


def test_an_open_vote_says_how_far_it_is(operator: Client, federation: SimulatedFederation, clock: ManualClock) -> None:
    assert "no proposal is open" in text(operator.get("/overview/panels"))
    federation.enrol(*"abcde")
    opened = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    federation.submit_all(opened, constant_delta(shapes_of(MODEL), 1))
    federation.work()
    proposal = Proposal.objects.get(status=Proposal.Status.OPEN)
    federation.organizations[0].approve(proposal)
    page = text(operator.get("/overview/panels"))
    assert "1 of 4 approvals" in page
    assert "without b, c, d, e" in page


def test_budgets_are_told_by_who_has_spent_most(
    operator: Client, federation: SimulatedFederation, clock: ManualClock, env: Callable[..., Env]
) -> None:
    env(privacy_mode="record", privacy_epsilon=1.0, training_rounds=4)
    assert "No round has charged anybody yet." in text(operator.get("/overview/panels"))
    federation.enrol("org-a", "org-b")
    rounds.start_round(actor="operator", model_name="edge-normaliser", clock=clock)
    page = text(operator.get("/overview/panels"))
    assert "org-a has spent most" in page
    assert "rounds left" in page
    env(privacy_mode="none", privacy_required=False)
    page = text(operator.get("/overview/panels"))
    assert "unprotected: rounds add no noise" in page


def test_a_wish_to_abort_is_seen_where_the_round_is(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    federation.enrol("org-a", "org-b")
    opened = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    operator.post(f"/rounds/{opened.round_id}/abort", {"reason": "wrong data"})
    page = text(operator.get("/overview/panels"))
    assert "asked for by operator:operator, waits for a second operator" in page
    assert f"abort the round {opened.round_id}" in page


def test_viewers_are_offered_nothing_to_start(operator: Client) -> None:
    user = User.objects.create_user("vera", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    viewer = Client(headers={"host": "localhost"})
    viewer.force_login(user)
    assert "Start a round" in text(operator.get("/"))
    assert "Start a round" not in text(viewer.get("/"))


def test_names_are_escaped(operator: Client) -> None:
    Organization.objects.create(org_id="org-x", name="<img src=x>")
    page = text(operator.get("/"))
    assert "<img src=x>" not in page
    assert "&lt;img src=x&gt;" in page


def test_no_inline_script_or_style(operator: Client) -> None:
    response = operator.get("/")
    policy = response["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert " style=" not in response.content.decode()
    assert "<script>" not in response.content.decode()
