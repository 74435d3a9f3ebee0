"""Every condition opens a notification when it holds, and closes it when it does not, on the apps' own rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

import ledger.selectors
import privacy.selectors
from federation.models import ConfirmationRequest, Organization, TrainingRound
from federation.services import confirmations, enrolment, rounds
from federation.services.directory import OrganizationDirectory
from flxdr.core.clock import ManualClock
from flxdr.env import Env
from flxdr.notifications import kinds
from flxdr.notifications.conditions import survey
from ledger.models import Block
from ledger.services.proposals import expire_due
from ledger.services.verified import verify_stored
from privacy.services import budget
from tests.ledger.members import tamper
from tests.notifications.conftest import Reviewed, closed
from tests.support.federation import SimulatedFederation, SimulatedOrganization, constant_delta, shapes_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]
MODEL = "edge-normaliser"
Change = Callable[..., Env]


def test_a_federation_at_rest_asks_for_nobody(trio: SimulatedFederation, reviewed: Reviewed) -> None:
    assert reviewed() == {}


def test_an_organization_waits_for_approval(env: Change, clock: ManualClock, reviewed: Reviewed) -> None:
    env(env="production")
    SimulatedOrganization("org-alpha", clock).register()
    (waiting,) = reviewed()[kinds.ORGANIZATION_WAITING]
    assert (waiting.severity, waiting.opened_at, waiting.closed_at) == ("info", clock.now(), None)
    assert waiting.text == "org-alpha has registered and waits for an operator's approval."
    assert waiting.path == "/organizations/org-alpha/"
    clock.advance(timedelta(minutes=1))
    enrolment.approve(org_id="org-alpha", actor="operator", clock=clock)
    assert reviewed() == {}
    assert closed(kinds.ORGANIZATION_WAITING).closed_at == clock.now()
    assert closed(kinds.ORGANIZATION_WAITING).text == "org-alpha waits for no approval any more."


def test_an_organization_is_silent(trio: SimulatedFederation, clock: ManualClock, reviewed: Reviewed) -> None:
    directory = OrganizationDirectory(clock)
    directory.touch("org-alpha")
    clock.advance(timedelta(seconds=899))
    assert reviewed() == {}, "not long enough, and the others were never heard of"
    clock.advance(timedelta(seconds=1))
    (silent,) = reviewed()[kinds.ORGANIZATION_SILENT]
    assert silent.text == "org-alpha is active and was last heard of at 2100-01-01 00:00 UTC."
    directory.touch("org-alpha")
    assert reviewed() == {}


def test_a_suspended_organization_may_be_silent(
    trio: SimulatedFederation, clock: ManualClock, reviewed: Reviewed
) -> None:
    OrganizationDirectory(clock).touch("org-alpha")
    clock.advance(timedelta(seconds=900))
    assert kinds.ORGANIZATION_SILENT in reviewed()
    enrolment.suspend(org_id="org-alpha", actor="operator", clock=clock)
    assert reviewed() == {}


def test_a_request_waits_for_a_second_operator(
    trio: SimulatedFederation, clock: ManualClock, reviewed: Reviewed
) -> None:
    request = confirmations.request_action(
        action=ConfirmationRequest.Action.SUSPEND,
        subject="org-alpha",
        reason="odd updates",
        actor="operator:kim",
        clock=clock,
    )
    assert request is not None
    (waiting,) = reviewed()[kinds.CONFIRMATION_WAITING]
    assert (waiting.subject, waiting.severity) == (str(request.pk), "warning")
    assert waiting.text == (
        "operator:kim asks for a second operator's word by 2100-01-02 00:00 UTC: suspend org-alpha."
    )
    confirmations.confirm(request_id=request.pk, actor="operator:lee", clock=clock)
    assert reviewed() == {}
    assert closed(kinds.CONFIRMATION_WAITING).text == (
        "The request of operator:kim was decided, or has expired: suspend org-alpha."
    )


def test_a_request_that_nobody_decided(trio: SimulatedFederation, clock: ManualClock, reviewed: Reviewed) -> None:
    started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    confirmations.request_action(
        action=ConfirmationRequest.Action.ABORT_ROUND,
        subject=started.round_id,
        reason="",
        actor="operator:kim",
        clock=clock,
    )
    assert f"abort round {started.round_id}." in reviewed()[kinds.CONFIRMATION_WAITING][0].text
    clock.advance(confirmations.LIFETIME)
    assert kinds.CONFIRMATION_WAITING not in reviewed(), "nobody can confirm it any more"


def fail_next_round(clock: ManualClock) -> TrainingRound:
    started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    clock.advance(timedelta(seconds=601))
    rounds.close_collection(round_id=started.round_id, clock=clock)
    started.refresh_from_db()
    assert started.status == "failed"
    return started


def test_a_round_failed(trio: SimulatedFederation, clock: ManualClock, reviewed: Reviewed) -> None:
    first = fail_next_round(clock)
    (failed,) = reviewed()[kinds.ROUND_FAILED]
    assert (failed.subject, failed.severity) == (first.round_id, "warning")
    assert failed.text == (
        f"Round 1 of {MODEL} failed (too_few_submissions): 0 of 3 organizations submitted, 2 are needed; "
        "missing: org-alpha, org-beta, org-gamma."
    )
    second = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    assert [each.subject for each in reviewed()[kinds.ROUND_FAILED]] == [first.round_id], "nothing has come of it yet"
    trio.submit_all(second, constant_delta(shapes_of(MODEL), 1))
    trio.settle()
    assert reviewed() == {}
    assert closed(kinds.ROUND_FAILED).text == f"A later round of {MODEL} has ended since round 1 failed."


def test_a_round_that_fails_again_is_told_of_again(
    trio: SimulatedFederation, clock: ManualClock, reviewed: Reviewed
) -> None:
    first = fail_next_round(clock)
    reviewed()
    second = fail_next_round(clock)
    assert [each.subject for each in reviewed()[kinds.ROUND_FAILED]] == [second.round_id]
    assert closed(kinds.ROUND_FAILED).subject == first.round_id


def test_an_aborted_round_is_no_news_to_operators(
    trio: SimulatedFederation, clock: ManualClock, reviewed: Reviewed
) -> None:
    started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    rounds.abort_round(round_id=started.round_id, actor="operator", reason="a mistake", clock=clock)
    assert reviewed() == {}


@pytest.fixture
def proposed(trio: SimulatedFederation, clock: ManualClock) -> int:
    """A release that waits for approvals; org-alpha has given its own."""
    started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    trio.submit_all(started, constant_delta(shapes_of(MODEL), 1))
    trio.work()
    (proposal,) = ledger.selectors.proposals_for("org-alpha")
    trio.organizations[0].approve(proposal)
    return proposal.pk


def test_a_proposal_is_about_to_lapse(
    trio: SimulatedFederation, proposed: int, clock: ManualClock, reviewed: Reviewed
) -> None:
    clock.advance(timedelta(seconds=224))
    assert reviewed() == {}
    clock.advance(timedelta(seconds=1))
    (expiring,) = reviewed()[kinds.PROPOSAL_EXPIRING]
    assert expiring.text == (
        f"Proposal {proposed} lapses at 2100-01-01 00:05 UTC: 1 of 3 approvals are there, no answer came from: "
        "org-beta, org-gamma."
    )
    trio.settle()
    assert reviewed() == {}
    assert closed(kinds.PROPOSAL_EXPIRING).text == f"Proposal {proposed} has ended; the ledger says how."


def test_a_proposal_that_lapsed(
    trio: SimulatedFederation, proposed: int, clock: ManualClock, reviewed: Reviewed
) -> None:
    clock.advance(timedelta(seconds=299))
    assert kinds.PROPOSAL_EXPIRING in reviewed()
    clock.advance(timedelta(seconds=1))
    expire_due(clock=clock)
    assert list(reviewed()) == [kinds.ROUND_FAILED], "its round has failed with it"


def test_the_chain_is_broken(clock: ManualClock, reviewed: Reviewed) -> None:
    header = bytes(Block.objects.get(height=0).header)
    tamper("UPDATE blocks SET header = %s", b"{}")
    assert reviewed() == {}, "no verification has found it yet"
    verify_stored(clock=clock, actor="test", full=True)
    (broken,) = reviewed()[kinds.CHAIN_BROKEN]
    assert broken.severity == "critical"
    assert broken.text == "The chain does not verify: block 0 is bad (header_malformed)."
    with connection.cursor() as cursor:
        cursor.execute("UPDATE blocks SET header = %s", [header])
    assert kinds.CHAIN_BROKEN in reviewed(), "until a verification says otherwise"
    clock.advance(timedelta(seconds=1))
    verify_stored(clock=clock, actor="test", full=True)
    assert reviewed() == {}
    assert closed(kinds.CHAIN_BROKEN).text == "The last full verification found every block good."


def test_the_chain_is_not_verified(clock: ManualClock, reviewed: Reviewed) -> None:
    clock.advance(timedelta(hours=2))
    assert kinds.CHAIN_UNVERIFIED not in reviewed()
    clock.advance(timedelta(seconds=1))
    (unverified,) = reviewed()[kinds.CHAIN_UNVERIFIED]
    assert unverified.text == (
        "No full verification of the chain has ended since 2100-01-01 00:00 UTC; one is due every 60 minutes."
    )
    verify_stored(clock=clock, actor="test", full=True)
    assert kinds.CHAIN_UNVERIFIED not in reviewed()
    assert closed(kinds.CHAIN_UNVERIFIED).closed_at == clock.now()


def test_a_chain_that_was_never_verified_counts_from_its_first_block(clock: ManualClock, reviewed: Reviewed) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM verification_passes")
    sealed = Block.objects.get(height=0).sealed_at
    fresh = {finding.kind for finding in survey(sealed + timedelta(hours=2)).findings}
    late = {finding.kind for finding in survey(sealed + timedelta(hours=2, seconds=1)).findings}
    assert late - fresh == {kinds.CHAIN_UNVERIFIED}


def reserve(number: int, clock: ManualClock) -> None:
    mechanism = planned()
    with transaction.atomic():
        budget.reserve(org_ids=["org-alpha", "org-gone"], round_id=f"round-{number}", mechanism=mechanism, clock=clock)


def planned() -> dict[str, Any]:
    mechanism = privacy.selectors.planned_mechanism(privacy.selectors.training_plan())
    assert mechanism is not None
    return mechanism.as_mapping()


def test_a_budget_runs_out(trio: SimulatedFederation, env: Change, clock: ManualClock, reviewed: Reviewed) -> None:
    env(privacy_mode="organization", training_rounds=5)
    reserve(1, clock)
    assert reviewed() == {}, "four rounds are left"
    reserve(2, clock)
    (low,) = reviewed()[kinds.BUDGET_LOW]
    assert low.subject == "org-alpha", "who takes no part needs no budget"
    assert low.text == "The privacy budget of org-alpha is low. Rounds left at the noise that is set: 3."
    assert low.path == "/privacy/?org=org-alpha"
    reserve(3, clock)
    (still,) = reviewed()[kinds.BUDGET_LOW]
    assert (still.pk, still.data["rounds"]) == (low.pk, 2), "the same notification, and true"
    reserve(4, clock)
    reserve(5, clock)
    after = reviewed()
    assert list(after) == [kinds.BUDGET_EXHAUSTED]
    assert after[kinds.BUDGET_EXHAUSTED][0].severity == "critical"
    assert closed(kinds.BUDGET_LOW).pk == low.pk
    env(privacy_epsilon=8.0)
    assert reviewed() == {}


def test_no_budget_where_rounds_cost_nothing(
    trio: SimulatedFederation, env: Change, clock: ManualClock, reviewed: Reviewed
) -> None:
    env(privacy_mode="organization", training_rounds=1)
    reserve(1, clock)
    env(privacy_mode="none")
    assert reviewed() == {}


def test_a_check_that_fails_is_told_and_stops_no_other(
    trio: SimulatedFederation, env: Change, clock: ManualClock, reviewed: Reviewed
) -> None:
    env(privacy_mode="organization", training_rounds=3)
    reserve(1, clock)
    (low,) = reviewed()[kinds.BUDGET_LOW]
    env(privacy_calibration="classic", privacy_epsilon=8.0, training_rounds=1)  # what `classic` cannot be used for
    new = Organization.objects.create(org_id="org-new", name="New", status="pending")
    after = reviewed()
    (unread,) = after[kinds.CHECK_FAILED]
    assert unread.text == (
        "The check of privacy budgets could not be made (invalid_privacy_parameter), so nobody knows how that stands."
    )
    assert [each.pk for each in after[kinds.BUDGET_LOW]] == [low.pk], "neither over nor told anew"
    assert [each.subject for each in after[kinds.ORGANIZATION_WAITING]] == [new.org_id]
    env(privacy_calibration="analytic", privacy_epsilon=1.0, training_rounds=3)
    assert kinds.CHECK_FAILED not in reviewed()


def test_queries_do_not_grow_with_the_federation(trio: SimulatedFederation, env: Change, clock: ManualClock) -> None:
    env(privacy_mode="organization", training_rounds=3)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            survey(clock.now())
        return len(captured)

    reserve(1, clock)
    few = queries()
    names = [f"org-{number:03}" for number in range(300)]
    Organization.objects.bulk_create(
        Organization(org_id=name, name=name, status=Organization.Status.ACTIVE, last_seen_at=clock.now())
        for name in names
    )
    Organization.objects.bulk_create(Organization(org_id=f"new-{name}", name=name) for name in names)
    with transaction.atomic():
        budget.reserve(org_ids=names, round_id="round-2", mechanism=planned(), clock=clock)
    clock.advance(timedelta(hours=1))
    assert queries() == few
    found = survey(clock.now()).findings
    assert sum(finding.kind == kinds.ORGANIZATION_SILENT for finding in found) == 200, "the longest silent"
    assert sum(finding.kind == kinds.BUDGET_LOW for finding in found) == 301
