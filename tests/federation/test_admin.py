"""The operator's first face, as a browser would use it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin import site
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from federation.aggregation import registry
from federation.models import (
    AggregationShard,
    Campaign,
    ConfirmationRequest,
    EnrolmentToken,
    Organization,
    TrainingRound,
)
from federation.round_config import RoundConfig
from federation.services import campaigns, confirmations, enrolment, enrolment_tokens, rounds
from federation.services.detections import share_detection
from flxdr.core.clock import SystemClock
from flxdr.platform.models import AuditEvent
from tests.support.detections import detection, signed_detection
from tests.support.federation import SimulatedFederation, constant_delta, shapes_of

pytestmark = pytest.mark.django_db
MODEL = "edge-normaliser"
READ_ONLY = (
    "organization",
    "traininground",
    "campaign",
    "participant",
    "submission",
    "aggregationshard",
    "modelversion",
    "shareddetection",
    "enrolmenttoken",
    "confirmationrequest",
)


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
def operator() -> Client:
    """A superuser's session."""
    client = Client()
    client.force_login(User.objects.create_superuser("kim"), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def populated(federation: SimulatedFederation, clock: SystemClock) -> SimulatedFederation:
    """Two members, a completed round, a campaign with an open one."""
    federation.enrol("org-a", "org-b")
    started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    federation.submit_all(started, constant_delta(shapes_of(MODEL), 1))
    federation.settle()
    return federation


def url(model: str, page: str, *args: Any) -> str:
    return reverse(f"admin:federation_{model}_{page}", args=args)


def text(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def act(operator: Client, model: str, action: str, *pks: int) -> str:
    data = {"action": action, "_selected_action": [str(pk) for pk in pks]}
    return text(operator.post(url(model, "changelist"), data, follow=True))


def ask(operator: Client, model: str, action: str, pk: int, reason: str = "a good reason") -> str:
    """Choose an action of two persons, and fill in the form that asks why."""
    assert 'name="reason"' in act(operator, model, action, pk)
    data = {"action": action, "_selected_action": str(pk), "asked": "yes", "reason": reason}
    return text(operator.post(url(model, "changelist"), data, follow=True))


def confirmed(clock: SystemClock) -> ConfirmationRequest:
    """The request that waits, once a second operator has confirmed it."""
    waiting = ConfirmationRequest.objects.get(status="waiting")
    return confirmations.confirm(request_id=waiting.pk, actor="operator:sam", clock=clock)


def test_every_model_is_registered() -> None:
    assert all(site.is_registered(model) for model in apps.get_app_config("federation").get_models())


@pytest.mark.parametrize("model", READ_ONLY)
def test_lists_and_pages_open(operator: Client, populated: SimulatedFederation, model: str, clock: SystemClock) -> None:
    enrolment_tokens.create_enrolment_token(org_id="org-c", lifetime=timedelta(hours=1), actor="x", clock=clock)
    campaigns.start_campaign(actor="x", clock=clock)
    confirmations.request_action(
        action=ConfirmationRequest.Action.SUSPEND, subject="org-a", reason="", actor="x", clock=clock
    )
    AggregationShard.objects.create(training_round=TrainingRound.objects.all()[0], step="measure", start=0, stop=1)
    member = populated.organizations[0]
    assert member.key is not None
    signed = signed_detection(member.key, detection(member.org_id))
    share_detection(org_id=member.org_id, signed=signed, clock=clock)
    text(operator.get(url(model, "changelist")))
    text(operator.get(url(model, "changelist"), {"q": "org"}))
    row = apps.get_model("federation", model)._default_manager.first()
    assert row is not None
    page = text(operator.get(url(model, "change", row.pk)))
    assert 'name="_save"' not in page
    assert operator.post(url(model, "change", row.pk), {"status": "failed"}).status_code == 403
    assert operator.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("model", ["organization", "participant", "submission", "modelversion"])
def test_records_are_not_added_by_hand(operator: Client, model: str) -> None:
    assert operator.get(url(model, "add")).status_code == 403


def test_lists_do_not_query_per_row(
    operator: Client, populated: SimulatedFederation, clock: SystemClock, django_assert_max_num_queries: Any
) -> None:
    for model in READ_ONLY:
        with django_assert_max_num_queries(12):
            operator.get(url(model, "changelist"))


def test_organizations_are_approved_suspended_readmitted(operator: Client, clock: SystemClock, env: Any) -> None:
    env(env="production")
    waiting = enrolment.register(org_id="org-a", name="A", clock=clock)
    act(operator, "organization", "approve", waiting.pk)
    before = "active"
    for action, after in (("suspend", "suspended"), ("readmit", "active")):
        assert "asked for; a second operator confirms it" in ask(operator, "organization", action, waiting.pk)
        waiting.refresh_from_db()
        assert waiting.status == before
        confirmed(clock)
        waiting.refresh_from_db()
        assert waiting.status == after
        before = after
    done = AuditEvent.objects.filter(subject="org-a", kind__startswith="organization.").order_by("pk")
    assert [event.actor for event in done] == [
        "org-a",
        "operator:kim",
        "operator:kim and operator:sam",
        "operator:kim and operator:sam",
    ]


def test_without_the_rule_a_reason_is_enough(operator: Client, clock: SystemClock, env: Any) -> None:
    env(two_person=False)
    active = enrolment.register(org_id="org-a", name="A", clock=clock)
    assert ": done." in ask(operator, "organization", "suspend", active.pk)
    active.refresh_from_db()
    assert active.status == "suspended"


def test_nothing_is_asked_for_without_a_reason(operator: Client, clock: SystemClock) -> None:
    active = enrolment.register(org_id="org-a", name="A", clock=clock)
    assert "This field is required" in ask(operator, "organization", "suspend", active.pk, reason=" ")
    assert not ConfirmationRequest.objects.exists()


def test_a_second_operator_confirms_and_cancels(operator: Client, clock: SystemClock) -> None:
    for org_id in ("org-a", "org-b", "org-c"):
        enrolment.register(org_id=org_id, name=org_id, clock=clock)
    asked = [
        confirmations.request_action(
            action=ConfirmationRequest.Action.SUSPEND, subject=org_id, reason="", actor=actor, clock=clock
        )
        for org_id, actor in (("org-a", "operator:sam"), ("org-b", "operator:sam"), ("org-c", "operator:kim"))
    ]
    first, second, own = (request.pk for request in asked if request)
    page = act(operator, "confirmationrequest", "confirm", first, own)
    assert "confirmed and done" in page
    assert "operator:kim asked for this; expected: another operator" in page
    assert "cancelled" in act(operator, "confirmationrequest", "cancel", second)
    statuses = Organization.objects.order_by("org_id").values_list("status", flat=True)
    assert list(statuses) == ["suspended", "active", "active"]


def test_what_does_not_fit_is_said(operator: Client, clock: SystemClock) -> None:
    active = enrolment.register(org_id="org-a", name="A", clock=clock)
    assert "org-a is active" in act(operator, "organization", "approve", active.pk)


def test_looking_is_not_acting(clock: SystemClock) -> None:
    viewer = User.objects.create_user("lee", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_organization"))
    client = Client()
    client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    active = enrolment.register(org_id="org-a", name="A", clock=clock)
    act(client, "organization", "suspend", active.pk)
    assert not ConfirmationRequest.objects.exists()
    assert client.get(url("traininground", "add")).status_code == 403


def test_a_round_is_started_and_aborted(operator: Client, federation: SimulatedFederation, clock: SystemClock) -> None:
    federation.enrol("org-a", "org-b", algorithm=None)
    page = operator.post(
        url("traininground", "add"),
        {"model_name": MODEL, "aggregation_method": "FedAvg", "min_orgs": "1", "timeout": ""},
        follow=True,
    )
    started = TrainingRound.objects.get()
    assert started.round_id in text(page)
    assert (started.model_name, started.aggregation_method, started.min_orgs) == (MODEL, "FedAvg", 1)
    assert "config_hash" in text(operator.get(url("traininground", "change", started.pk)))
    ask(operator, "traininground", "abort", started.pk)
    confirmed(clock)
    started.refresh_from_db()
    assert (started.status, started.failure_code) == ("failed", "aborted")
    assert started.failure_reason == "a good reason"


@pytest.mark.parametrize("model", ["traininground", "campaign"])
def test_the_aggregation_is_chosen(operator: Client, federation: SimulatedFederation, model: str) -> None:
    federation.enrol(*"abcde", algorithm=None)
    choice = {"aggregation_method": "RobustAggregator", "robust_method": "krum", "aggregation_params": "byzantine=1"}
    choice["weighting"] = "equal"
    operator.post(url(model, "add"), {"model_name": "edge-classifier", **choice}, follow=True)
    config = RoundConfig.decode(bytes(TrainingRound.objects.get().config))
    assert config.aggregation_method == "RobustAggregator"
    assert config.aggregation_params == {"robust_method": "krum", "byzantine": 1}
    assert config.weighting == "equal"


@pytest.mark.parametrize("model", ["traininground", "campaign"])
def test_the_form_tells_of_every_method_and_parameter(operator: Client, model: str) -> None:
    page = text(operator.get(url(model, "add")))
    for choice in registry.describe():
        assert f'<option value="{choice["robust_method"] or choice["method"]}">' in page
        for parameter in choice["parameters"]:
            assert f"{parameter['name']} ({parameter['lowest']} to {parameter['highest']}" in page


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"aggregation_params": "lambda_ppm"}, "Allowed: `name=integer`"),
        ({"aggregation_method": "FedAvg", "robust_method": "krum"}, "FedAvg takes no parameter"),
        ({"aggregation_method": "RobustAggregator", "robust_method": "bulyan"}, "choose multi_krum (from 5 updates)"),
    ],
)
@pytest.mark.parametrize("model", ["traininground", "campaign"])
def test_an_impossible_aggregation_is_refused(
    operator: Client, federation: SimulatedFederation, model: str, choice: dict[str, str], message: str
) -> None:
    federation.enrol("org-a", "org-b", algorithm=None)
    page = operator.post(url(model, "add"), {"model_name": "edge-classifier", **choice}, follow=True)
    assert message in text(page)
    assert not TrainingRound.objects.exists()
    assert not Campaign.objects.exists()


def test_an_impossible_round_is_refused_with_its_reason(operator: Client) -> None:
    page = operator.post(url("traininground", "add"), {"model_name": MODEL, "aggregation_method": ""}, follow=True)
    assert "0 organizations would take part and 2 are needed" in text(page)
    assert not TrainingRound.objects.exists()


def test_a_campaign_is_started_and_aborted(
    operator: Client, federation: SimulatedFederation, clock: SystemClock
) -> None:
    federation.enrol("org-a", "org-b", algorithm=None)
    text(operator.post(url("campaign", "add"), {"model_name": "global", "rounds": "4"}, follow=True))
    campaign = Campaign.objects.get()
    assert (campaign.rounds_total, campaign.status) == (4, "running")
    ask(operator, "campaign", "abort", campaign.pk)
    confirmed(clock)
    campaign.refresh_from_db()
    assert campaign.status == "stopped"


def test_an_enrolment_token_is_shown_once_and_works(operator: Client, clock: SystemClock, env: Any) -> None:
    env(env="production")
    page = text(operator.post(url("enrolmenttoken", "add"), {"organization": "org-a", "days": "1"}, follow=True))
    found = re.search(r"shown only this once: (\S+?)</li>", page)
    assert found is not None
    assert found.group(1) not in text(operator.get(url("enrolmenttoken", "changelist")))
    enrolment.register(org_id="org-a", name="A", enrolment_token=found.group(1), clock=clock)
    assert Organization.objects.get().status == "active"
    assert EnrolmentToken.objects.get().used_at is not None


def test_a_token_is_revoked_until_it_is_used(operator: Client, clock: SystemClock, env: Any) -> None:
    env(env="production")
    for org_id in ("org-a", "org-b"):
        operator.post(url("enrolmenttoken", "add"), {"organization": org_id, "days": "1"})
    EnrolmentToken.objects.filter(org_id="org-b").update(used_at=clock.now())
    page = act(operator, "enrolmenttoken", "revoke", *EnrolmentToken.objects.values_list("pk", flat=True))
    assert "Enrolment of org-a: revoked." in page
    assert "org-b has enrolled with this token" in page
    assert EnrolmentToken.objects.get().org_id == "org-b"


def test_a_pending_organization_is_declined(operator: Client, clock: SystemClock, env: Any) -> None:
    env(env="production")
    waiting = enrolment.register(org_id="org-a", name="A", clock=clock)
    assert "Org-a: declined." in act(operator, "organization", "decline", waiting.pk)
    assert not Organization.objects.exists()
    assert AuditEvent.objects.get(kind="organization.declined").actor == "operator:kim"
