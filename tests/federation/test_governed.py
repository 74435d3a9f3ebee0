"""What rotations, revocations and withdrawals mean to organisations, rounds and models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.conf import settings

import ledger.selectors
from federation import selectors
from federation.errors import OrganizationStateConflict, RegistrationConflict, UnknownKey
from federation.models import ModelVersion, TrainingRound
from federation.services import enrolment, rounds
from flxdr.core import dsse
from flxdr.core.clock import ManualClock
from flxdr.core.keys import Algorithm, PrivateKey
from flxdr.platform.models import AuditEvent
from ledger.chain.entries import RotationStatement, encode_statement
from ledger.chain.verify import verify_chain
from ledger.models import Proposal
from ledger.services import governance
from tests.support.federation import SimulatedFederation, SimulatedOrganization, constant_delta, shapes_of

pytestmark = pytest.mark.django_db
MODEL = "edge-normaliser"
DELTA = constant_delta(shapes_of(MODEL), 3)


@pytest.fixture
def three(federation: SimulatedFederation) -> Iterator[SimulatedFederation]:
    """Three members; the chain still verifies when the test is through."""
    federation.enrol("org-alpha", "org-beta", "org-gamma")
    yield federation
    assert verify_chain(ledger.selectors.chain_records()).report.chain_valid


def start(clock: ManualClock, model: str = MODEL) -> TrainingRound:
    return rounds.start_round(actor="operator", model_name=model, clock=clock)


def complete(federation: SimulatedFederation, clock: ManualClock) -> ModelVersion:
    started = start(clock)
    federation.submit_all(started, DELTA)
    federation.settle()
    return ModelVersion.objects.get(training_round=started)


def propose_rotation(organization: SimulatedOrganization, new: PrivateKey, clock: ManualClock) -> Proposal:
    old = organization.key
    assert old is not None
    statement = encode_statement(
        RotationStatement(
            v=1,
            org_id=organization.org_id,
            key_id=new.public.key_id,
            retires=old.public.key_id,
            chain_id=ledger.selectors.chain_id(),
        )
    )
    return governance.propose_rotation(
        org_id=organization.org_id,
        public_key=new.public,
        statement=statement,
        proof=dsse.sign(new, dsse.ROTATION_TYPE, statement),
        endorsement=(old.public.key_id, dsse.sign(old, dsse.ROTATION_TYPE, statement)),
        clock=clock,
    )


def revoke(federation: SimulatedFederation, organization: SimulatedOrganization, clock: ManualClock) -> None:
    assert organization.key is not None
    governance.propose_revocation(
        org_id=organization.org_id,
        key_id=organization.key.public.key_id,
        compromised_since=None,
        reason="stolen",
        proposer=None,
        actor="olivia",
        clock=clock,
    )
    federation.settle()


def withdraw(federation: SimulatedFederation, version: int, clock: ManualClock) -> None:
    propose_withdrawal(version, clock)
    federation.settle()


def propose_withdrawal(version: int, clock: ManualClock) -> Proposal:
    return governance.propose_withdrawal(
        model_name=MODEL, model_version=version, reason="it misses scans", proposer=None, actor="olivia", clock=clock
    )


def test_a_rotated_key_is_the_organizations_from_its_block_on(three: SimulatedFederation, clock: ManualClock) -> None:
    alpha, new = three.organizations[0], PrivateKey.generate(Algorithm.ED25519)
    started = start(clock)
    propose_rotation(alpha, new, clock)
    assert alpha.key is not None
    assert [key.key_id for key in selectors.signing_keys("org-alpha")] == [alpha.key.public.key_id]
    three.settle()
    assert [key.key_id for key in selectors.signing_keys("org-alpha")] == [new.public.key_id]
    with pytest.raises(UnknownKey):
        alpha.submit_delta(started, DELTA)
    alpha.key = new
    three.submit_all(started, DELTA)
    three.settle()
    started.refresh_from_db()
    assert started.status == "completed"
    assert AuditEvent.objects.filter(kind="organization.key_replaced", subject="org-alpha").exists()


def test_enrolling_again_with_the_rotated_key_changes_nothing(three: SimulatedFederation, clock: ManualClock) -> None:
    alpha, new = three.organizations[0], PrivateKey.generate(Algorithm.ED25519)
    propose_rotation(alpha, new, clock)
    three.settle()
    with pytest.raises(RegistrationConflict):
        alpha.register()
    alpha.key = new
    assert alpha.register().status == "active"
    assert not Proposal.objects.filter(status__in=("queued", "open")).exists()


def test_an_organization_without_keys_is_shut_out(three: SimulatedFederation, clock: ManualClock) -> None:
    gamma = three.organizations[2]
    started = start(clock)
    revoke(three, gamma, clock)
    assert (gamma.row.status, gamma.row.key_status) == ("suspended", "revoked")
    assert selectors.signing_keys("org-gamma") == []
    # The round goes on as with every suspended participant: without it, if that is not too few.
    three.submit_all(started, DELTA, three.organizations[:2])
    clock.advance(started.deadline - clock.now())
    rounds.close_collection(round_id=started.round_id, clock=clock)
    three.settle()
    started.refresh_from_db()
    assert (started.status, started.failure_code) == ("failed", "failure_rate_exceeded")
    following = start(clock)
    assert sorted(following.participants.values_list("organization__org_id", flat=True)) == ["org-alpha", "org-beta"]


def test_it_comes_back_with_a_new_key_only(three: SimulatedFederation, clock: ManualClock) -> None:
    gamma = three.organizations[2]
    revoke(three, gamma, clock)
    with pytest.raises(OrganizationStateConflict):
        enrolment.readmit(org_id="org-gamma", actor="olivia", clock=clock)
    with pytest.raises(RegistrationConflict):
        gamma.register()
    gamma.key = PrivateKey.generate(Algorithm.ED25519)
    assert gamma.register().status == "active"  # an operator's approval, outside development
    assert not ledger.selectors.is_member("org-gamma")
    three.settle()
    assert ledger.selectors.is_member("org-gamma")
    assert [key.key_id for key in selectors.signing_keys("org-gamma")] == [gamma.key.public.key_id]


def test_outside_development_an_operator_approves_the_return(
    three: SimulatedFederation, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gamma = three.organizations[2]
    revoke(three, gamma, clock)
    monkeypatch.setattr(settings, "FLXDR", replace(settings.FLXDR, env="production"))
    gamma.key = PrivateKey.generate(Algorithm.ED25519)
    assert gamma.register().status == "pending"
    assert not Proposal.objects.filter(status__in=("queued", "open")).exists()
    enrolment.approve(org_id="org-gamma", actor="olivia", clock=clock)
    three.settle()
    assert ledger.selectors.is_member("org-gamma")


def test_a_withdrawn_release_is_no_parent(three: SimulatedFederation, clock: ManualClock) -> None:
    first, second, third = (complete(three, clock) for _ in range(3))
    withdraw(three, 2, clock)
    for version in (second, third):
        version.refresh_from_db()
        assert version.status == "withdrawn"
    released = selectors.released_version(MODEL)
    assert released is not None
    assert released.version == 1
    assert selectors.federation_status(MODEL)["global_model_hash"] == first.model_hash
    assert selectors.model_by_hash(second.model_hash, viewer="org-alpha").status == "withdrawn"
    fourth = complete(three, clock)
    assert (fourth.version, fourth.parent_hash, fourth.status) == (4, first.model_hash, "released")


def test_after_all_were_withdrawn_the_model_begins_anew(three: SimulatedFederation, clock: ManualClock) -> None:
    first = complete(three, clock)
    withdraw(three, 1, clock)
    second = complete(three, clock)
    assert (second.version, second.status) == (2, "released")
    assert second.parent_hash == first.parent_hash


def test_a_round_from_a_withdrawn_parent_fails(three: SimulatedFederation, clock: ManualClock) -> None:
    complete(three, clock)
    started = start(clock)
    three.submit_all(started, DELTA, three.organizations[:1])
    withdraw(three, 1, clock)
    started.refresh_from_db()
    assert (started.status, started.failure_code) == ("failed", "parent_withdrawn")
    assert "it misses scans" in started.failure_reason


def test_a_candidate_from_a_withdrawn_parent_is_taken_back(three: SimulatedFederation, clock: ManualClock) -> None:
    complete(three, clock)
    started = start(clock)
    withdrawal = propose_withdrawal(1, clock)
    three.submit_all(started, DELTA)
    three.work()
    candidate = ModelVersion.objects.get(training_round=started)
    assert (candidate.status, candidate.version) == ("candidate", 2)
    three.settle()
    withdrawal.refresh_from_db()
    started.refresh_from_db()
    candidate.refresh_from_db()
    assert withdrawal.status == "sealed"
    assert (started.failure_code, candidate.status) == ("parent_withdrawn", "refused")
    assert Proposal.objects.get(round_id=started.round_id).status == "withdrawn"


def test_a_round_that_reads_a_withdrawn_normaliser_fails(three: SimulatedFederation, clock: ManualClock) -> None:
    complete(three, clock)
    started = start(clock, "edge-classifier")
    withdraw(three, 1, clock)
    started.refresh_from_db()
    assert (started.status, started.failure_code) == ("failed", "parent_withdrawn")


def test_the_same_bytes_may_stand_by_an_earlier_release(three: SimulatedFederation, clock: ManualClock) -> None:
    zeros = constant_delta(shapes_of(MODEL), 0)
    hashes = set()
    for delta in (DELTA, zeros):
        started = start(clock)
        three.submit_all(started, delta)
        three.settle()
        hashes.add(ModelVersion.objects.get(training_round=started).model_hash)
    assert len(hashes) == 1
    reading = start(clock, "edge-classifier")
    withdraw(three, 2, clock)
    reading.refresh_from_db()
    assert reading.status == "in_progress"
    assert selectors.model_by_hash(*hashes).status == "released"
    withdraw(three, 1, clock)
    assert selectors.model_by_hash(*hashes).status == "withdrawn"
    reading.refresh_from_db()
    assert reading.failure_code == "parent_withdrawn"


def test_an_organization_hears_of_the_revocation_of_its_key(three: SimulatedFederation, clock: ManualClock) -> None:
    gamma = three.organizations[2]
    assert gamma.key is not None
    proposal = governance.propose_revocation(
        org_id="org-gamma",
        key_id=gamma.key.public.key_id,
        compromised_since=None,
        reason="stolen",
        proposer=None,
        actor="olivia",
        clock=clock,
    )
    assert "org-gamma" not in proposal.voters
    for org_id in ("org-alpha", "org-gamma"):
        (waiting,) = selectors.current_round_for(org_id)["proposals"]
        assert waiting["id"] == proposal.pk
    three.settle()


def test_other_models_rounds_go_on(three: SimulatedFederation, clock: ManualClock) -> None:
    started = start(clock, "edge-classifier")
    complete(three, clock)
    withdraw(three, 1, clock)
    started.refresh_from_db()
    assert started.status == "in_progress"
