"""The pages of organisations: what they say of each state, and what operators may do there."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from federation.models import ConfirmationRequest, EnrolmentToken, Organization
from federation.services import enrolment, enrolment_tokens, rounds
from flxdr.core.clock import ManualClock, SystemClock
from flxdr.env import Env
from flxdr.platform.models import AuditEvent
from ledger.models import Proposal
from tests.federation.closed_rounds import collected
from tests.support.federation import SimulatedFederation

pytestmark = pytest.mark.django_db
Status = Organization.Status
ACTIONS = ("approve/", "decide/decline/", "decide/suspend/", "decide/readmit/")


def text(response: Any, status: int = 200) -> str:
    assert response.status_code == status, response.status_code
    return " ".join(response.content.decode().split())


def panel(page: str, name: str) -> str:
    """The section of a page under the heading with that id."""
    start = page.index(f'aria-labelledby="{name}"')
    return page[start : page.index("</section>", start)]


def pending(org_id: str = "org-alpha", **fields: Any) -> Organization:
    return Organization.objects.create(**({"org_id": org_id, "name": "Alpha", "status": Status.PENDING} | fields))


@pytest.fixture
def states() -> None:
    now = datetime.now(UTC)
    pending("org-pending", name="Pending")
    pending("org-suspended", name="Suspended", status=Status.SUSPENDED)
    for name, seen in (("new", None), ("here", now), ("away", now - timedelta(hours=3))):
        pending(f"org-{name}", name=name.title(), status=Status.ACTIVE, last_seen_at=seen)


class TestList:
    @pytest.mark.usefixtures("states")
    @pytest.mark.parametrize(
        ("state", "shown"),
        [
            ("connected", "org-here"),
            ("disconnected", "org-away"),
            ("never connected", "org-new"),
            ("pending", "org-pending"),
            ("suspended", "org-suspended"),
        ],
    )
    def test_a_state_is_filtered_and_counted(self, operator: Client, state: str, shown: str) -> None:
        page = text(operator.get("/organizations/", {"state": state}))
        assert re.findall(r'href="/organizations/([a-z-]+)/"', page) == [shown]
        assert re.search(
            rf'aria-current="true"> ?<strong>1</strong> ?{"waits for approval" if state == "pending" else state}', page
        )

    @pytest.mark.usefixtures("states")
    @pytest.mark.parametrize("search", ["ORG-HER", "here", " Here "])
    def test_a_name_or_an_id_is_found_by_a_part(self, operator: Client, search: str) -> None:
        page = text(operator.get("/organizations/", {"q": search}))
        assert re.findall(r'href="/organizations/([a-z-]+)/"', page) == ["org-here"]

    @pytest.mark.usefixtures("states")
    def test_keys_are_filtered(self, operator: Client) -> None:
        assert "/organizations/org-here/" in text(operator.get("/organizations/", {"key": "none"}))
        assert "/organizations/org-here/" not in text(operator.get("/organizations/", {"key": "proven"}))

    @pytest.mark.parametrize(
        "query",
        [
            {"page": "abc"},
            {"page": "99999999999999999999"},
            {"page": "77777777"},
            {"state": "nonsense"},
            {"key": "nonsense"},
            {"q": "\0"},
            {"q": "'; DROP TABLE"},
            {"q": "x" * 5000},
        ],
    )
    def test_garbage_in_the_address_does_no_harm(self, operator: Client, query: dict[str, str]) -> None:
        text(operator.get("/organizations/", query))

    def test_an_empty_federation_says_what_to_do(self, operator: Client) -> None:
        assert "flxdr-agent enrol" in text(operator.get("/organizations/"))
        assert "No organisation matches" in text(operator.get("/organizations/", {"q": "x"}))

    def test_names_are_text(self, operator: Client) -> None:
        pending(name="<script>alert(1)</script>", data_sources={"a": "<img src=x>"})
        for path in ("/organizations/", "/organizations/org-alpha/", "/organizations/org-alpha/decide/decline/"):
            page = text(operator.get(path))
            assert "<script>alert" not in page
            assert "&lt;script&gt;alert" in page
            assert "<img src=x>" not in page

    def test_queries_do_not_grow_with_the_organizations(
        self, operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        Organization.objects.bulk_create(
            Organization(org_id=f"org-{i}", name=f"Organization {i}", status=Status.ACTIVE) for i in range(120)
        )
        with django_assert_max_num_queries(14):
            page = text(operator.get("/organizations/", {"page": "3"}))
        assert "101 to 120 of 120" in page


class TestOne:
    def test_it_tells_how_its_updates_went(
        self, operator: Client, federation: SimulatedFederation, clock: ManualClock
    ) -> None:
        collected(
            federation, clock, aggregation_method="RobustAggregator", aggregation_params={"robust_method": "multi_krum"}
        )
        federation.settle()
        alike = text(operator.get("/organizations/org-a/"))
        odd = text(operator.get("/organizations/org-e/"))
        assert "counted" in panel(alike, "participation")
        assert "farther from its neighbours" in panel(odd, "participation")
        assert re.search(r"left_out\b", panel(odd, "participation"))

    def test_it_tells_of_keys_votes_and_what_happened(self, operator: Client, federation: SimulatedFederation) -> None:
        federation.enrol("org-a", "org-b", "org-c")
        page = text(operator.get("/organizations/org-a/"))
        assert "in force" in panel(page, "keys")
        assert "approves" in panel(page, "votes")
        assert "<strong>coordinator</strong> admitted org-a to the chain" in panel(page, "history")
        assert "It registered without a key" not in page

    def test_a_failed_round_counts_for_nothing(
        self, operator: Client, federation: SimulatedFederation, clock: ManualClock
    ) -> None:
        collected(federation, clock)
        opened = federation.organizations[0].row.participations.get().training_round
        rounds.abort_round(round_id=opened.round_id, actor="operator:kim", reason="wrong data", clock=clock)
        page = panel(text(operator.get("/organizations/org-a/")), "participation")
        assert "not counted" in page
        assert "the round failed: aborted" in page

    def test_a_proposal_about_its_key_is_there(
        self, operator: Client, federation: SimulatedFederation, clock: ManualClock
    ) -> None:
        federation.enrol("org-a", "org-b", "org-c")
        key = federation.organizations[2].key
        assert key is not None
        path = f"/organizations/org-c/keys/{key.public.key_id}/revoke/"
        assert "the other members vote" in text(operator.get(path))
        answer = operator.post(path, {"reason": "the laptop was stolen", "compromised_since": "1"}, follow=True)
        assert "The other members decide." in text(answer)
        assert f"revoke org-c {key.public.key_id[:12]}…" in panel(text(answer), "keys")
        proposal = Proposal.objects.get(status="open")
        (entry,) = proposal.content["actions"]
        assert (entry["reason"], entry["compromised_since"]) == ("the laptop was stolen", 1)
        assert AuditEvent.objects.filter(kind="governance.proposed").latest("pk").actor == "operator:kim"
        again = text(operator.post(path, {"reason": "another reason"}))
        assert "says another thing about the same" in again
        assert 'value="another reason"' in again

    @pytest.mark.parametrize("since", ["-1", "x", "9" * 30])
    def test_a_height_is_a_height(self, operator: Client, federation: SimulatedFederation, since: str) -> None:
        (member,) = federation.enrol("org-a")
        assert member.key is not None
        path = f"/organizations/org-a/keys/{member.key.public.key_id}/revoke/"
        assert "errorlist" in text(operator.post(path, {"reason": "stolen", "compromised_since": since}))
        assert not Proposal.objects.exclude(status="sealed").exists()

    @pytest.mark.parametrize(
        "path",
        [
            "/organizations/nobody/",
            "/organizations/nobody/decide/suspend/",
            "/organizations/%00/",
            "/organizations/org-alpha/decide/nonsense/",
            f"/organizations/org-alpha/keys/{'0' * 64}/revoke/",
            f"/organizations/{'x' * 300}/",
        ],
    )
    def test_what_is_not_there_is_not_found(self, operator: Client, path: str) -> None:
        pending()
        assert operator.get(path).status_code == 404

    def test_queries_do_not_grow_with_what_happened(
        self,
        operator: Client,
        federation: SimulatedFederation,
        clock: ManualClock,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        federation.enrol(*(f"org-{number}" for number in range(6)))
        with django_assert_max_num_queries(34):
            text(operator.get("/organizations/org-0/"))


class TestDecisions:
    def test_a_pending_one_is_approved(self, operator: Client) -> None:
        pending()
        assert 'action="/organizations/org-alpha/approve/"' in text(operator.get("/organizations/org-alpha/"))
        page = text(operator.post("/organizations/org-alpha/approve/", follow=True))
        assert "org-alpha takes part from now on." in page
        assert Organization.objects.get().status == Status.ACTIVE
        again = text(operator.post("/organizations/org-alpha/approve/", follow=True))
        assert "org-alpha is active" in again

    def test_a_pending_one_is_declined(self, operator: Client) -> None:
        pending()
        path = "/organizations/org-alpha/decide/decline/"
        assert "its name is free again" in text(operator.get(path))
        page = text(operator.post(path, {"reason": "unknown to all of us"}, follow=True))
        assert "org-alpha was declined." in page
        assert not Organization.objects.exists()
        assert AuditEvent.objects.get(kind="organization.declined").data["reason"] == "unknown to all of us"

    @pytest.mark.parametrize(
        ("name", "before", "after"),
        [("suspend", Status.ACTIVE, Status.SUSPENDED), ("readmit", Status.SUSPENDED, Status.ACTIVE)],
    )
    def test_two_persons_decide(
        self, operator: Client, second: Client, name: str, before: Status, after: Status
    ) -> None:
        pending(status=before)
        path = f"/organizations/org-alpha/decide/{name}/"
        assert "a second operator has to confirm it" in text(operator.get(path))
        page = text(operator.post(path, {"reason": "as agreed <b>"}, follow=True))
        assert "Asked for. A second operator confirms it" in page
        assert "operator:kim asked to" in page
        assert "as agreed &lt;b&gt;" in page
        assert path not in page
        assert Organization.objects.get().status == before
        assert "operator:kim has asked for this already" in text(second.post(path, {"reason": "too"}))
        asked = ConfirmationRequest.objects.get()
        assert "Confirmed and done" in text(second.post(f"/confirmations/{asked.pk}/confirm/", follow=True))
        assert Organization.objects.get().status == after

    def test_without_the_rule_it_happens_at_once(self, operator: Client, env: Callable[..., Env]) -> None:
        env(two_person=False)
        pending(status=Status.ACTIVE)
        path = "/organizations/org-alpha/decide/suspend/"
        assert "second operator" not in text(operator.get(path))
        assert "org-alpha is suspended." in text(operator.post(path, {"reason": "as agreed"}, follow=True))
        assert Organization.objects.get().status == Status.SUSPENDED

    @pytest.mark.parametrize("name", ["suspend", "readmit"])
    def test_what_is_not_possible_is_said_and_nothing_typed_is_lost(self, operator: Client, name: str) -> None:
        pending()
        page = text(operator.post(f"/organizations/org-alpha/decide/{name}/", {"reason": "a long story"}))
        assert "org-alpha is pending" in page
        assert 'value="a long story"' in page
        assert not ConfirmationRequest.objects.exists()

    @pytest.mark.parametrize("reason", ["", "x" * 301, "a\0b"])
    def test_a_reason_is_asked_for(self, operator: Client, reason: str) -> None:
        pending()
        assert "errorlist" in text(operator.post("/organizations/org-alpha/decide/decline/", {"reason": reason}))
        assert Organization.objects.exists()

    def test_who_may_only_look_finds_no_button_and_no_door(
        self, viewer: Client, federation: SimulatedFederation
    ) -> None:
        (member,) = federation.enrol("org-a")
        pending()
        assert member.key is not None
        for org_id in ("org-a", "org-alpha"):
            page = text(viewer.get(f"/organizations/{org_id}/"))
            assert not re.search(r"/(approve|decide|revoke)/", page)
            for action in ACTIONS:
                assert viewer.post(f"/organizations/{org_id}/{action}", {"reason": "x"}).status_code == 403
        path = f"/organizations/org-a/keys/{member.key.public.key_id}/revoke/"
        assert viewer.post(path, {"reason": "x"}).status_code == 403
        assert Organization.objects.get(org_id="org-alpha").status == Status.PENDING

    @pytest.mark.parametrize("path", ["/organizations/", "/organizations/org-alpha/", "/enrolment/", "/confirmations/"])
    def test_strangers_are_sent_to_the_log_in(self, path: str) -> None:
        pending()
        answer = Client(headers={"host": "localhost"}).get(path)
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/admin/login/")

    def test_nothing_is_decided_by_following_a_link(self, operator: Client) -> None:
        pending()
        assert operator.get("/organizations/org-alpha/approve/").status_code == 405
        text(operator.get("/organizations/org-alpha/decide/decline/"))
        assert Organization.objects.get().status == Status.PENDING


class TestEnrolmentTokens:
    def test_a_secret_is_shown_once_and_lets_its_organization_in(
        self, operator: Client, env: Callable[..., Env], clock: ManualClock
    ) -> None:
        env(env="production")
        answer = operator.post("/enrolment/", {"org_id": "org-new", "days": "3"})
        found = re.search(r"flxdr-agent enrol --token (\S+?)</pre>", text(answer))
        assert found is not None
        assert "no-store" in answer["Cache-Control"]
        page = text(operator.get("/enrolment/"))
        assert found[1] not in page
        assert "org-new" in page
        enrolment.register(org_id="org-new", name="New", enrolment_token=found[1], clock=SystemClock())
        assert Organization.objects.get().status == Status.ACTIVE
        page = text(operator.get("/enrolment/"))
        assert ">used<" in page
        assert "/revoke/" not in page

    def test_one_that_nobody_used_is_revoked(self, operator: Client) -> None:
        operator.post("/enrolment/", {"org_id": "org-new", "days": "3"})
        token = EnrolmentToken.objects.get()
        page = text(operator.post(f"/enrolment/{token.pk}/revoke/", follow=True))
        assert "The token of org-new is worthless now." in page
        assert "No token was given out" in page
        assert "no enrolment token" in text(operator.post(f"/enrolment/{token.pk}/revoke/", follow=True))

    def test_an_expired_one_says_so(self, operator: Client) -> None:
        past = ManualClock(datetime.now(UTC) - timedelta(days=2))
        enrolment_tokens.create_enrolment_token(
            org_id="org-new", lifetime=timedelta(days=1), actor="operator:kim", clock=past
        )
        assert ">expired<" in text(operator.get("/enrolment/"))

    @pytest.mark.parametrize(
        "values",
        [
            {"org_id": "coordinator", "days": "1"},
            {"org_id": "Org", "days": "1"},
            {"org_id": "a b", "days": "1"},
            {"org_id": "org-new", "days": "0"},
            {"org_id": "org-new", "days": "91"},
            {"org_id": "", "days": ""},
        ],
    )
    def test_what_cannot_be_is_said_at_its_field(self, operator: Client, values: dict[str, str]) -> None:
        page = text(operator.post("/enrolment/", values))
        assert "errorlist" in page
        assert "shown only this once" not in page
        assert not EnrolmentToken.objects.exists()

    def test_who_may_only_look_gives_none_out(self, viewer: Client, operator: Client) -> None:
        operator.post("/enrolment/", {"org_id": "org-new", "days": "3"})
        page = text(viewer.get("/enrolment/"))
        assert "org-new" in page
        assert "/revoke/" not in page
        assert "Make a token" not in page
        assert viewer.post("/enrolment/", {"org_id": "org-more", "days": "3"}).status_code == 403
        assert viewer.post(f"/enrolment/{EnrolmentToken.objects.get().pk}/revoke/").status_code == 403
        assert EnrolmentToken.objects.count() == 1

    def test_a_number_that_none_can_have_is_no_error(self, operator: Client) -> None:
        assert "no enrolment token" in text(operator.post(f"/enrolment/{'9' * 30}/revoke/", follow=True))
