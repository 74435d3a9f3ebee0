"""The overview shows what is true, to operators only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from federation.models import Organization
from federation.selectors.overview import organizations_at_a_glance
from flxdr.core.clock import ManualClock, SystemClock
from flxdr.platform.models import AuditEvent
from ledger.services import passes, verified
from tests.conftest import SentTasks
from tests.federation.closed_rounds import collected
from tests.ledger.members import tamper
from tests.support.federation import SimulatedFederation

pytestmark = pytest.mark.django_db
PAGES = ("/", "/overview/panels")


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
    assert "valid: all 1 blocks verified" in response.content.decode()
    event = AuditEvent.objects.get(kind="chain.verified")
    assert event.actor == "operator"
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
    assert "valid: all 1 blocks verified" in page
    assert "full pass by operator" in page
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
    row = page.partition('<th scope="row">org-e</th>')[2].partition("</tr>")[0]
    assert "anomaly score" in row
    assert shown in row
    assert Organization.objects.get(org_id="org-e").accepted_count == counted
    assert '<th scope="row">org-a</th>' not in page


@pytest.mark.parametrize(("seconds", "state"), [(90, "connected"), (150, "disconnected")])
def test_an_organization_between_two_polls_counts_as_connected(seconds: int, state: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    Organization.objects.create(
        org_id="org-alpha",
        name="Alpha",
        status=Organization.Status.ACTIVE,
        last_seen_at=now - timedelta(seconds=seconds),
    )
    assert [glance.state for glance in organizations_at_a_glance(now)] == [state]


def test_an_unchanged_page_costs_one_304(operator: Client) -> None:
    etag = operator.get("/overview/panels")["ETag"]
    assert operator.get("/overview/panels", headers={"if-none-match": etag}).status_code == 304
    Organization.objects.create(org_id="org-alpha", name="Alpha")
    assert operator.get("/overview/panels", headers={"if-none-match": etag}).status_code == 200


def test_queries_do_not_grow_with_the_federation(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    Organization.objects.bulk_create(Organization(org_id=f"org-{i}", name=f"Organization {i}") for i in range(200))
    with django_assert_max_num_queries(25):
        operator.get("/overview/panels")


def test_no_inline_script_or_style(operator: Client) -> None:
    response = operator.get("/")
    policy = response["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert " style=" not in response.content.decode()
    assert "<script>" not in response.content.decode()
