"""How organisations come in, are approved, suspended and readmitted."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

import ledger.selectors
from federation.errors import (
    EnrolmentRefused,
    EnrolmentTokenMissing,
    EnrolmentTokenUsed,
    OrganizationMissing,
    OrganizationStateConflict,
    ReasonInvalid,
    RegistrationConflict,
    RegistrationInvalid,
    TooManyRegistrations,
)
from federation.models import EnrolmentToken, Organization
from federation.services import enrolment, enrolment_tokens
from federation.services.directory import OrganizationDirectory
from flxdr.core.clock import ManualClock
from flxdr.core.keys import Algorithm, KeyInvalid, PrivateKey, SignatureInvalid
from flxdr.platform.auth import directory
from flxdr.platform.models import AuditEvent
from ledger.models import Proposal
from ledger.services.proposals import expire_due
from tests.federation.conftest import Stored
from tests.support.federation import SimulatedFederation, SimulatedOrganization

pytestmark = pytest.mark.django_db
KEY = PrivateKey(Algorithm.ED25519, b"k" * 32)


def register(clock: ManualClock, **fields: Any) -> Organization:
    declared: dict[str, Any] = {"org_id": "org-alpha", "name": "Alpha", "clock": clock}
    return enrolment.register(**(declared | fields))


def test_development_is_open(clock: ManualClock) -> None:
    organization = register(clock, data_sources={"soc_logs": "/var/log/soc"})
    assert (organization.status, organization.key_status) == ("active", "none")
    assert organization.data_sources == {"soc_logs": "/var/log/soc"}
    assert organization.registered_at == clock.now()
    assert not Proposal.objects.exists()


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_proven_key_is_proposed_and_admitted(federation: SimulatedFederation, algorithm: Algorithm) -> None:
    (alpha,) = federation.enrol("org-alpha", algorithm=algorithm)
    assert alpha.key is not None
    assert alpha.row.key_status == "proven"
    assert ledger.selectors.members() == {"org-alpha": [alpha.key.public]}


def test_a_key_without_proof_is_unproven_and_no_member(clock: ManualClock) -> None:
    organization = register(clock, public_key_text=KEY.public.to_pem())
    assert organization.key_status == "unproven"
    assert not Proposal.objects.exists()
    assert not directory.current().look_up("org-alpha").signing_keys


def test_the_proof_may_come_later(clock: ManualClock) -> None:
    register(clock, public_key_text=KEY.public.to_pem())
    later = SimulatedOrganization("org-alpha", clock, KEY)
    organization = register(clock, public_key_text=KEY.public.to_base64(), name="Alpha")
    assert organization.key_status == "unproven"
    with pytest.raises(RegistrationConflict):
        later.register()  # another name
    Organization.objects.update(name=later.name)
    assert later.register().key_status == "proven"
    assert Proposal.objects.get().org_id == "org-alpha"


def test_a_forged_proof_stores_nothing(clock: ManualClock, stored: Stored) -> None:
    before = stored.count()
    other = SimulatedOrganization("org-alpha", clock, PrivateKey(Algorithm.ED25519, b"o" * 32))
    with pytest.raises(SignatureInvalid):
        SimulatedOrganization("org-alpha", clock, KEY).register(key_proof=other.proof())
    assert stored.count() == before


def test_a_proof_is_for_one_organization(clock: ManualClock) -> None:
    proof = SimulatedOrganization("org-beta", clock, KEY).proof()
    with pytest.raises(SignatureInvalid):
        SimulatedOrganization("org-alpha", clock, KEY).register(key_proof=proof)


def test_the_same_again_changes_nothing(clock: ManualClock, stored: Stored) -> None:
    alpha = SimulatedOrganization("org-alpha", clock, KEY)
    first = alpha.register()
    before = stored.count()
    clock.advance(timedelta(hours=1))
    again = alpha.register()
    assert (again.pk, again.registered_at) == (first.pk, first.registered_at)
    assert stored.count() == before


@pytest.mark.parametrize(
    "other",
    [
        {"name": "Beta"},
        {"data_sources": {"soc_logs": "x"}},
        {"public_key_text": KEY.public.to_pem()},
    ],
)
def test_other_data_under_the_name_is_refused(clock: ManualClock, stored: Stored, other: dict[str, Any]) -> None:
    register(clock)
    before = stored.count()
    with pytest.raises(RegistrationConflict):
        register(clock, **other)
    assert stored.count() == before


@pytest.mark.parametrize(
    "bad",
    [
        {"org_id": ""},
        {"org_id": "Org-Alpha"},
        {"org_id": "a" * 65},
        {"org_id": "-alpha"},
        {"org_id": "org/alpha"},
        {"org_id": "coordinator"},
        {"org_id": "operator"},
        {"name": ""},
        {"name": "  "},
        {"name": "a" * 201},
        {"name": "bell\x07"},
        {"name": "turn\u202eed"},
        {"data_sources": {f"s{i}": "x" for i in range(17)}},
        {"data_sources": {"So ap": "x"}},
        {"data_sources": {"soc_logs": "x" * 501}},
        {"data_sources": {"soc_logs": "line\nline"}},
        {"data_sources": {"soc_logs": 5}},
        {"key_proof": b"proof without key"},
    ],
)
def test_out_of_bounds_registrations_store_nothing(clock: ManualClock, stored: Stored, bad: dict[str, Any]) -> None:
    before = stored.count()
    with pytest.raises(RegistrationInvalid):
        register(clock, **bad)
    assert stored.count() == before


@pytest.mark.parametrize("text", ["pk_...", "-----BEGIN PUBLIC KEY-----", "AAAA"])
def test_what_is_no_key_is_refused(clock: ManualClock, text: str) -> None:
    with pytest.raises(KeyInvalid):
        register(clock, public_key_text=text)
    assert not Organization.objects.exists()


def test_production_waits_for_the_operator(clock: ManualClock, env: Any) -> None:
    env(env="production")
    alpha = SimulatedOrganization("org-alpha", clock, KEY)
    assert alpha.register().status == "pending"
    assert not Proposal.objects.exists()
    approved = enrolment.approve(org_id="org-alpha", actor="operator:kim", clock=clock)
    assert (approved.status, approved.approved_at) == ("active", clock.now())
    assert Proposal.objects.get().org_id == "org-alpha"
    event = AuditEvent.objects.get(kind="organization.approved")
    assert (event.actor, event.subject) == ("operator:kim", "org-alpha")


class TestEnrolmentTokens:
    @pytest.fixture(autouse=True)
    def _production(self, env: Any) -> None:
        env(env="production")

    def token(self, clock: ManualClock, org_id: str = "org-alpha") -> str:
        return enrolment_tokens.create_enrolment_token(
            org_id=org_id, lifetime=timedelta(hours=1), actor="operator:kim", clock=clock
        )

    def test_a_token_enrols_at_once(self, clock: ManualClock) -> None:
        assert register(clock, enrolment_token=self.token(clock)).status == "active"

    def test_a_retry_of_its_registration_is_let_through(self, clock: ManualClock) -> None:
        token = self.token(clock)
        first = register(clock, enrolment_token=token)
        assert register(clock, enrolment_token=token).pk == first.pk

    def test_it_activates_an_organization_that_waits(self, clock: ManualClock) -> None:
        register(clock)
        assert register(clock, enrolment_token=self.token(clock)).status == "active"

    def test_it_takes_the_name_from_somebody_who_waits_under_it(self, clock: ManualClock) -> None:
        squatter = SimulatedOrganization("org-alpha", clock, PrivateKey(Algorithm.ED25519, b"s" * 32))
        assert squatter.register().status == "pending"
        alpha = SimulatedOrganization("org-alpha", clock, KEY)
        invited = alpha.register(name="Alpha", key_proof=None, enrolment_token=self.token(clock))
        assert (invited.status, invited.name, invited.key_status) == ("active", "Alpha", "unproven")
        assert bytes(invited.public_key or b"") == KEY.public.spki
        assert not directory.current().look_up("org-alpha").signing_keys
        assert not Proposal.objects.exists()
        with pytest.raises(RegistrationConflict):
            squatter.register()

    def test_it_takes_nothing_from_an_organization_that_is_active(self, clock: ManualClock) -> None:
        register(clock, enrolment_token=self.token(clock))
        with pytest.raises(RegistrationConflict):
            register(clock, name="Another", enrolment_token=self.token(clock))

    def test_an_expired_one_is_refused(self, clock: ManualClock, stored: Stored) -> None:
        token = self.token(clock)
        clock.advance(timedelta(hours=1))
        before = stored.count()
        with pytest.raises(EnrolmentRefused):
            register(clock, enrolment_token=token)
        assert stored.count() == before

    def test_another_organizations_is_refused(self, clock: ManualClock) -> None:
        with pytest.raises(EnrolmentRefused):
            register(clock, enrolment_token=self.token(clock, "org-beta"))

    def test_an_invented_one_is_refused(self, clock: ManualClock) -> None:
        with pytest.raises(EnrolmentRefused):
            register(clock, enrolment_token="guess")

    def test_a_refused_registration_does_not_use_it_up(self, clock: ManualClock) -> None:
        token = self.token(clock)
        register(clock)
        enrolment.approve(org_id="org-alpha", actor="operator", clock=clock)
        with pytest.raises(RegistrationConflict):
            register(clock, name="Other", enrolment_token=token)
        assert EnrolmentToken.objects.get().used_at is None

    def test_only_its_digest_is_kept(self, clock: ManualClock) -> None:
        token = self.token(clock)
        assert token not in str(EnrolmentToken.objects.values().get())

    def test_a_lifetime_is_positive(self, clock: ManualClock) -> None:
        with pytest.raises(RegistrationInvalid):
            enrolment_tokens.create_enrolment_token(org_id="org-alpha", lifetime=timedelta(0), actor="x", clock=clock)

    def test_a_revoked_one_is_refused(self, clock: ManualClock) -> None:
        token = self.token(clock)
        token_id = EnrolmentToken.objects.get().pk
        revoke = partial(enrolment_tokens.revoke_enrolment_token, token_id=token_id, actor="operator:sam", clock=clock)
        assert revoke() == "org-alpha"
        with pytest.raises(EnrolmentRefused):
            register(clock, enrolment_token=token)
        event = AuditEvent.objects.get(kind="enrolment_token.revoked")
        assert (event.actor, event.subject) == ("operator:sam", "org-alpha")
        with pytest.raises(EnrolmentTokenMissing):
            revoke()

    def test_one_that_was_used_is_not_revoked(self, clock: ManualClock) -> None:
        register(clock, enrolment_token=self.token(clock))
        with pytest.raises(EnrolmentTokenUsed):
            enrolment_tokens.revoke_enrolment_token(
                token_id=EnrolmentToken.objects.get().pk, actor="operator:sam", clock=clock
            )
        assert not AuditEvent.objects.filter(kind="enrolment_token.revoked").exists()


def test_few_enough_wait_for_the_operator(clock: ManualClock, env: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    env(env="production")
    monkeypatch.setattr(enrolment, "MAX_WAITING", 2)
    for org_id in ("org-a", "org-b"):
        register(clock, org_id=org_id)
    with pytest.raises(TooManyRegistrations):
        register(clock, org_id="org-c")
    register(clock, org_id="org-a")
    token = enrolment_tokens.create_enrolment_token(
        org_id="org-c", lifetime=timedelta(hours=1), actor="operator", clock=clock
    )
    assert register(clock, org_id="org-c", enrolment_token=token).status == "active"
    enrolment.approve(org_id="org-a", actor="operator", clock=clock)
    assert register(clock, org_id="org-d").status == "pending"


class TestDeclining:
    @pytest.fixture(autouse=True)
    def _production(self, env: Any) -> None:
        env(env="production")

    def decline(self, clock: ManualClock, reason: str = "nobody there knows of it") -> None:
        enrolment.decline(org_id="org-alpha", reason=reason, actor="operator:kim", clock=clock)

    def test_it_leaves_the_name_free_and_says_in_the_audit_what_was_declared(self, clock: ManualClock) -> None:
        squatter = SimulatedOrganization("org-alpha", clock, PrivateKey(Algorithm.ED25519, b"s" * 32))
        squatter.register(data_sources={"soc_logs": "everything"})
        self.decline(clock)
        assert not Organization.objects.exists()
        assert not directory.current().look_up("org-alpha").signing_keys
        event = AuditEvent.objects.get(kind="organization.declined")
        assert (event.actor, event.subject) == ("operator:kim", "org-alpha")
        assert squatter.key is not None
        assert event.data == {
            "name": squatter.name,
            "data_sources": {"soc_logs": "everything"},
            "key_id": squatter.key.public.key_id,
            "reason": "nobody there knows of it",
            "kept": False,
        }
        assert SimulatedOrganization("org-alpha", clock, KEY).register().status == "pending"

    def test_who_had_been_a_member_is_suspended_instead(
        self, federation: SimulatedFederation, clock: ManualClock
    ) -> None:
        organization = SimulatedOrganization("org-alpha", clock, KEY)
        organization.register()
        enrolment.approve(org_id="org-alpha", actor="operator", clock=clock)
        federation.organizations.append(organization)
        federation.settle()
        assert ledger.selectors.was_member("org-alpha")
        Organization.objects.update(status=Organization.Status.PENDING)
        self.decline(clock)
        assert organization.row.status == "suspended"
        assert AuditEvent.objects.get(kind="organization.declined").data["kept"] is True

    def test_only_who_waits_is_declined(self, clock: ManualClock, stored: Stored) -> None:
        with pytest.raises(OrganizationMissing):
            self.decline(clock)
        register(clock)
        enrolment.approve(org_id="org-alpha", actor="operator", clock=clock)
        before = stored.count()
        with pytest.raises(OrganizationStateConflict):
            self.decline(clock)
        assert stored.count() == before

    @pytest.mark.parametrize("reason", ["x" * 301, "two\nlines", "a\0b"])
    def test_a_reason_is_one_line(self, clock: ManualClock, reason: str) -> None:
        register(clock)
        with pytest.raises(ReasonInvalid):
            self.decline(clock, reason)
        assert Organization.objects.exists()


def test_suspension_is_effective_at_once_and_ends(clock: ManualClock) -> None:
    register(clock)
    known = OrganizationDirectory(clock)
    enrolment.suspend(org_id="org-alpha", actor="operator:kim", clock=clock)
    assert known.look_up("org-alpha").standing is directory.Standing.SUSPENDED
    enrolment.readmit(org_id="org-alpha", actor="operator:kim", clock=clock)
    assert known.look_up("org-alpha").standing is directory.Standing.ACTIVE
    assert known.look_up("org-beta").standing is directory.Standing.OTHER


@pytest.mark.parametrize("service", [enrolment.approve, enrolment.readmit])
def test_decisions_fit_the_state(clock: ManualClock, service: Any, stored: Stored) -> None:
    register(clock)
    before = stored.count()
    with pytest.raises(OrganizationStateConflict):
        service(org_id="org-alpha", actor="operator:kim", clock=clock)
    assert stored.count() == before


@pytest.mark.parametrize("service", [enrolment.approve, enrolment.suspend, enrolment.readmit])
def test_decisions_are_about_known_organizations(clock: ManualClock, service: Any) -> None:
    with pytest.raises(OrganizationMissing):
        service(org_id="org-nobody", actor="operator:kim", clock=clock)


def test_a_lapsed_admission_is_proposed_again(federation: SimulatedFederation, clock: ManualClock, env: Any) -> None:
    federation.enrol("org-alpha", "org-beta")
    late = SimulatedOrganization("org-late", clock, KEY)
    late.register()
    clock.advance(timedelta(hours=1))
    assert expire_due(clock=clock) == 1
    late.register()
    federation.organizations.append(late)
    federation.settle()
    assert ledger.selectors.is_member("org-late")


class TestDirectory:
    def test_it_is_registered(self) -> None:
        assert isinstance(directory.current(), OrganizationDirectory)

    def test_keys_are_proven_ones(self, federation: SimulatedFederation) -> None:
        (alpha,) = federation.enrol("org-alpha")
        assert alpha.key is not None
        assert directory.current().look_up("org-alpha").signing_keys == [alpha.key.public]
        assert directory.current().look_up("org-nobody") == directory.Record()

    def test_being_seen_is_written_once_a_minute(self, clock: ManualClock, django_assert_num_queries: Any) -> None:
        register(clock)
        known = OrganizationDirectory(clock)
        known.touch("org-alpha")
        first = clock.now()
        clock.advance(timedelta(seconds=59))
        assert known.look_up("org-alpha").seen_lately
        known.touch("org-alpha")
        assert Organization.objects.get().last_seen_at == first
        clock.advance(timedelta(seconds=2))
        assert not known.look_up("org-alpha").seen_lately
        known.touch("org-alpha")
        assert Organization.objects.get().last_seen_at == clock.now()
