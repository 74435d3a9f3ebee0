"""An organisation's own page: who gets in and how, and that it shows its own data and nobody else's."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from federation.models import Organization, TrainingRound
from federation.selectors.rounds import counted_submissions
from federation.services import enrolment, sign_in
from flxdr.core.clock import ManualClock, SystemClock
from flxdr.dashboard.member import session
from ledger.chain import merkle
from ledger.chain.block import SubmissionEntry, parse_header, submission_leaves
from ledger.models import Block, Proposal
from ledger.services.governance import propose_revocation
from tests.federation.closed_rounds import collected
from tests.support.federation import SimulatedFederation

pytestmark = pytest.mark.django_db
PATHS = ("/member/", "/member/rounds/", "/member/budget/")


def text(response: Any, status: int = 200) -> str:
    assert response.status_code == status, response.status_code
    return " ".join(response.content.decode().split())


def link(org_id: str = "org-a") -> str:
    return f"/member/sign-in/{sign_in.make_sign_in_secret(org_id=org_id, clock=SystemClock())}/"


def browser(org_id: str | None = None) -> Client:
    """A browser, signed in as an organisation if one is named."""
    client = Client(headers={"host": "localhost"})
    if org_id is not None:
        assert client.post(link(org_id)).status_code == 302
    return client


@pytest.fixture
def trained(federation: SimulatedFederation, clock: ManualClock) -> TrainingRound:
    """A released round in which the update of `org-e` was left out."""
    collected(
        federation, clock, aggregation_method="RobustAggregator", aggregation_params={"robust_method": "multi_krum"}
    )
    federation.settle()
    return TrainingRound.objects.get()


class TestSigningIn:
    @pytest.fixture(autouse=True)
    def _members(self, federation: SimulatedFederation) -> None:
        federation.enrol("org-a", "org-b")

    def test_a_link_shows_who_it_is_for_and_a_button_uses_it(self) -> None:
        client, path = browser(), link()
        for _ in range(2):
            assert "Sign in as Org A" in text(client.get(path))
        answer = client.post(path, follow=True)
        assert answer.redirect_chain == [("/member/", 302)]
        assert "Org A" in text(answer)
        for again in (client.get(path), client.post(path), browser().post(path)):
            assert "the link was used before" in text(again, 403)

    def test_the_session_is_nobodys_account_and_has_a_key_of_its_own(self) -> None:
        client = browser()
        client.get("/admin/login/")
        client.session.save()
        before = client.session.session_key
        client.post(link())
        assert client.session.session_key != before
        assert "_auth_user_id" not in client.session
        assert client.session.get_expiry_age() <= 3600
        assert client.get("/").status_code == 302
        assert client.get("/organizations/").status_code == 302
        answer = client.get("/api/fl-blockchain/federation/organizations", REMOTE_ADDR="203.0.113.9")
        assert answer.status_code == 401

    def test_nobody_else_gets_in(self, operator: Client, viewer: Client) -> None:
        for client in (browser(), operator, viewer):
            for path in PATHS:
                assert "flxdr-agent page" in text(client.get(path), 403)

    @pytest.mark.parametrize("secret", ["x", "x:y", "é", "%00", "a" * 3000])
    def test_what_is_no_link_is_refused(self, secret: str) -> None:
        assert "no link of the coordinator" in text(browser().get(f"/member/sign-in/{secret}/"), 403)
        assert "no link of the coordinator" in text(browser().post(f"/member/sign-in/{secret}/"), 403)

    def test_an_old_link_is_refused(self) -> None:
        past = ManualClock(SystemClock().now() - timedelta(minutes=3))
        path = f"/member/sign-in/{sign_in.make_sign_in_secret(org_id='org-a', clock=past)}/"
        assert "the link is too old" in text(browser().post(path), 403)

    def test_another_site_cannot_sign_a_browser_in(self) -> None:
        client = Client(headers={"host": "localhost"}, enforce_csrf_checks=True)
        assert client.post(link()).status_code == 403
        assert text(client.get("/member/"), 403)

    def test_an_operator_is_signed_out_by_it(self, operator: Client) -> None:
        path = link()
        assert "This signs you out." in text(operator.get(path))
        operator.post(path)
        assert "Org A" in text(operator.get("/member/"))
        assert operator.get("/organizations/").status_code == 302

    def test_an_operator_who_signs_in_later_does_not_keep_the_organizations_page(self, operator: Client) -> None:
        operator.post(link())
        operator.force_login(User.objects.get(username="kim"))
        assert text(operator.get("/organizations/"))
        assert "Not signed in" in text(operator.get("/member/"), 403)

    def test_signing_out_ends_it(self) -> None:
        client = browser("org-a")
        assert client.get("/member/sign-out/").status_code == 405
        assert text(client.get("/member/"))
        client.post("/member/sign-out/")
        assert text(client.get("/member/"), 403)

    def test_a_suspended_organization_is_out_at_once_and_stays_out(self) -> None:
        client = browser("org-a")
        enrolment.suspend(org_id="org-a", actor="operator:kim", clock=SystemClock())
        for path in PATHS:
            assert text(client.get(path), 403)
        enrolment.readmit(org_id="org-a", actor="operator:kim", clock=SystemClock())
        assert text(client.get("/member/"), 403)

    def test_it_ends_after_an_hour(self, monkeypatch: pytest.MonkeyPatch) -> None:
        client = browser("org-a")
        clock = ManualClock(SystemClock().now() + timedelta(minutes=59))
        monkeypatch.setattr(session, "CLOCK", clock)
        assert text(client.get("/member/"))
        clock.advance(timedelta(minutes=2))
        assert text(client.get("/member/"), 403)

    def test_no_browser_keeps_a_page(self) -> None:
        client = browser("org-a")
        for path in (*PATHS, link()):
            assert "no-store" in client.get(path)["Cache-Control"]

    @pytest.mark.parametrize(
        "path", ["/member/rounds/?page=abc", "/member/budget/?page=999999999999", "/member/?page=x"]
    )
    def test_garbage_in_the_address_does_no_harm(self, path: str) -> None:
        text(browser("org-a").get(path))


class TestItsOwnData:
    def test_it_sees_how_its_own_updates_went(self, trained: TrainingRound) -> None:
        own, other = text(browser("org-e").get("/member/")), text(browser("org-a").get("/member/"))
        assert "farther from its neighbours" in own
        assert "farther from its neighbours" not in other
        assert ">counted<" in other
        for page, others in ((own, "abcd"), (other, "bcde")):
            for letter in others:
                assert f"org-{letter}" not in page
                assert f"Org {letter.upper()}" not in page

    def test_no_link_leads_to_an_operators_page(self, trained: TrainingRound) -> None:
        for path in PATHS:
            addresses = re.findall(r'(?:href|action)="(/[^"]*)"', text(browser("org-a").get(path)))
            assert [each for each in addresses if not each.startswith(("/member/", "/static/"))] == []

    def test_a_proof_leads_from_its_update_to_the_signed_block(self, trained: TrainingRound) -> None:
        answer = browser("org-a").get(f"/member/rounds/{trained.round_id}/proof.json")
        assert answer["Content-Disposition"] == f'attachment; filename="org-a-{trained.round_id}-proof.json"'
        document = json.loads(answer.content)
        own = counted_submissions(trained).get(organization__org_id="org-a")
        assert document["submission_digest"] == own.wire_digest
        (leaf,) = submission_leaves([SubmissionEntry("org-a", document["submission_digest"], document["samples"])])
        block = Block.objects.get(height=document["block_height"])
        header = parse_header(bytes(block.header))
        assert header.provenance is not None
        assert document["block_hash"] == block.block_hash
        proof = [bytes.fromhex(node) for node in document["proof"]]
        place = (document["leaf_index"], document["tree_size"])
        assert merkle.verify_inclusion(leaf, *place, proof, bytes.fromhex(header.provenance.submissions_root))

    def test_a_proof_is_given_to_its_owner_alone(self, trained: TrainingRound, operator: Client) -> None:
        path = f"/member/rounds/{trained.round_id}/proof.json"
        Organization.objects.create(org_id="org-z", name="Z", status=Organization.Status.ACTIVE)
        assert browser("org-z").get(path).status_code == 404
        assert browser().get(path).status_code == 403
        assert operator.get(path).status_code == 403
        assert browser("org-a").get("/member/rounds/round-nothing/proof.json").status_code == 404

    def test_it_learns_what_waits_for_it(self, federation: SimulatedFederation, clock: ManualClock) -> None:
        federation.enrol("org-a", "org-b", "org-c")
        member = federation.organizations[2]
        assert member.key is not None
        assert "Waits for you" not in text(browser("org-a").get("/member/"))
        propose_revocation(
            org_id="org-c",
            key_id=member.key.public.key_id,
            compromised_since=None,
            reason="stolen",
            proposer=None,
            actor="operator:kim",
            clock=clock,
        )
        number = Proposal.objects.get(status="open").pk
        for org_id in ("org-a", "org-c"):
            assert f"Proposal {number}</strong> is open" in text(browser(org_id).get("/member/"))

    def test_the_chain_is_not_called_valid_before_it_was_verified(self, federation: SimulatedFederation) -> None:
        federation.enrol("org-a")
        page = text(browser("org-a").get("/member/"))
        assert "not verified yet" in page
        assert f"--genesis {Block.objects.get(height=0).block_hash}" in page

    def test_names_are_text(self, federation: SimulatedFederation) -> None:
        federation.enrol("org-a")
        Organization.objects.update(name="<script>alert(1)</script>")
        for page in (text(browser().get(link())), text(browser("org-a").get("/member/"))):
            assert "<script>alert" not in page

    def test_queries_do_not_grow(
        self, federation: SimulatedFederation, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        federation.enrol(*(f"org-{letter}" for letter in "abcdef"))
        client = browser("org-a")
        with django_assert_max_num_queries(38):
            text(client.get("/member/"))
        with django_assert_max_num_queries(12):
            text(client.get("/member/rounds/"))
