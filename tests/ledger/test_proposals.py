"""The queue: what opens when, what is refused, what ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.db import IntegrityError, transaction

from flxdr.celery import app as celery_app
from flxdr.core.clock import SystemClock
from flxdr.core.errors import FlxdrError, Malformed
from ledger import selectors
from ledger.chain.block import parse_header
from ledger.errors import ProposalClosed, ProposalConflict, ProposalMissing, ReleaseInvalid
from ledger.models import Proposal
from ledger.services import proposals
from ledger.services.verification import verify_ledger
from ledger.tasks import countersign
from tests.conftest import SentTasks
from tests.ledger.chains import hash_of, provenance
from tests.ledger.members import Consortium, header_of

TWO = ["org-a", "org-b"]


@pytest.fixture
def two(consortium: Consortium) -> Consortium:
    consortium.admit(*TWO)
    return consortium


def statuses() -> list[str]:
    return list(Proposal.objects.order_by("id").values_list("status", flat=True))


def test_releases_pass_waiting_governance(two: Consortium) -> None:
    first = two.propose_admission("org-c")
    second = two.propose_admission("org-d")
    release = two.propose_release(1, TWO)
    other = two.propose_release(1, TWO, model_name="edge", round_id="edge-1")
    assert [p.status for p in (first, second, release, other)] == ["open", "queued", "queued", "queued"]
    opened = []
    for _ in range(4):
        proposal = Proposal.objects.get(status="open")
        opened.append(proposal.pk)
        two.seal(proposal)
    assert opened == [first.pk, release.pk, other.pk, second.pk]
    assert verify_ledger(clock=two.clock).chain_valid


def test_a_queued_proposal_takes_no_votes(two: Consortium) -> None:
    two.propose_admission("org-c")
    waiting = two.propose_release(1, TWO)
    assert waiting.header is None
    assert waiting.deadline is None
    with pytest.raises(ProposalClosed):
        two.approve(waiting, "org-a", signature=b"x")


def test_voters_are_those_of_the_moment_it_opens(two: Consortium) -> None:
    admission = two.propose_admission("org-c")
    release = two.propose_release(1, [*TWO, "org-c"])
    two.seal(admission)
    release.refresh_from_db()
    assert release.voters == [*TWO, "org-c"]
    assert release.threshold == 3


def test_one_open_proposal_is_the_databases_rule(two: Consortium) -> None:
    opened = two.propose_admission("org-c")
    waiting = two.propose_admission("org-d")
    with pytest.raises(IntegrityError), transaction.atomic():
        Proposal.objects.filter(pk=waiting.pk).update(
            status="open", header=b"x", block_hash="x", height=9, deadline=opened.deadline
        )


def test_an_open_proposal_has_a_header(two: Consortium) -> None:
    opened = two.propose_admission("org-c")
    with pytest.raises(IntegrityError), transaction.atomic():
        Proposal.objects.filter(pk=opened.pk).update(header=None)


def test_expiry_ends_it_and_opens_the_next(two: Consortium, env: Any) -> None:
    env(approval_timeout=60)
    release = two.propose_release(1, TWO)
    waiting = two.propose_admission("org-c")
    two.approve(release, "org-a")
    two.clock.advance(timedelta(seconds=59))
    assert proposals.expire_due(clock=two.clock) == 0
    two.clock.advance(timedelta(seconds=1))
    assert proposals.expire_due(clock=two.clock) == 1
    release.refresh_from_db()
    waiting.refresh_from_db()
    assert (release.status, release.end_reason) == ("expired", "no quorum of 2 of 2 by the deadline")
    assert waiting.status == "open"
    assert waiting.deadline == two.clock.now() + timedelta(seconds=60)
    assert waiting.height == 3
    assert proposals.expire_due(clock=two.clock) == 0


def test_what_lapsed_may_be_proposed_again(two: Consortium) -> None:
    first = two.propose_admission("org-c")
    two.clock.advance(timedelta(days=1))
    assert proposals.expire_due(clock=two.clock) == 1
    second = two.propose_admission("org-c")
    assert second.pk != first.pk
    assert two.seal(second).status == "sealed"
    assert selectors.is_member("org-c")


def test_expire_due_opens_what_waits_with_nothing_open(two: Consortium) -> None:
    two.propose_admission("org-c")
    waiting = two.propose_admission("org-d")
    Proposal.objects.filter(status="open").update(status="withdrawn", ended_at=two.clock.now(), end_reason="by hand")
    assert proposals.expire_due(clock=two.clock) == 0
    waiting.refresh_from_db()
    assert waiting.status == "open"


def test_withdrawing(two: Consortium) -> None:
    release = two.propose_release(1, TWO)
    waiting = two.propose_admission("org-c")
    withdrawn = proposals.withdraw(proposal_id=release.pk, actor="olivia", reason="round aborted", clock=two.clock)
    assert (withdrawn.status, withdrawn.end_reason) == ("withdrawn", "round aborted")
    waiting.refresh_from_db()
    assert waiting.status == "open"
    with pytest.raises(ProposalClosed):
        proposals.withdraw(proposal_id=release.pk, actor="olivia", reason="again", clock=two.clock)
    with pytest.raises(ProposalMissing):
        proposals.withdraw(proposal_id=10**6, actor="olivia", reason="?", clock=two.clock)


def test_the_same_again_is_the_same_proposal(two: Consortium) -> None:
    release = two.propose_release(1, TWO)
    assert two.propose_release(1, TWO[::-1]).pk == release.pk
    two.seal(release)
    assert two.propose_release(1, TWO).pk == release.pk
    admission = two.propose_admission("org-c")
    assert two.propose_admission("org-c").pk == admission.pk
    two.seal(admission)
    assert two.propose_admission("org-c").pk == admission.pk
    assert len(statuses()) == 4


def test_another_release_for_the_same_round(two: Consortium) -> None:
    two.propose_release(1, TWO)
    with pytest.raises(ProposalConflict):
        two.propose_release(1, TWO, samples_total=7)


@pytest.mark.parametrize(
    "changes",
    [
        {"model_version": 3},
        {"parent_model_hash": hash_of("elsewhere")},
        {"round_number": 1, "round_id": "round-one-again"},
    ],
)
def test_a_release_continues_its_model(two: Consortium, changes: dict[str, Any]) -> None:
    two.release(1, TWO)
    with pytest.raises(ReleaseInvalid) as refused:
        two.propose_release(2, TWO, **changes)
    assert refused.value.expected
    assert selectors.head().height == 3


def test_a_round_that_was_not_approved_leaves_the_version_free(two: Consortium) -> None:
    two.release(1, TWO)
    refused = two.propose_release(2, TWO)
    two.reject(refused, "org-a")
    two.clock.advance(timedelta(seconds=1))
    retried = two.release(3, TWO, model_version=2, parent_model_hash=hash_of("global 1"))
    assert retried.status == "sealed"
    assert verify_ledger(clock=two.clock).chain_valid


@pytest.mark.parametrize("document", [{}, {"round_id": "r", "training_orgs": ["org-x"]}, {"round_id": "r", "extra": 1}])
def test_a_provenance_is_complete(two: Consortium, document: dict[str, Any]) -> None:
    with pytest.raises(FlxdrError) as refused:
        proposals.propose_release(provenance=document, model_hash=hash_of("m"), training_orgs=TWO, clock=two.clock)
    assert refused.value.status in (400, 422)
    assert not Proposal.objects.filter(type="release").exists()


def test_a_model_hash_is_a_hash(two: Consortium) -> None:
    with pytest.raises(Malformed):
        proposals.propose_release(
            provenance=msgspec.to_builtins(provenance(1, orgs=TWO)),
            model_hash="not a hash",
            training_orgs=TWO,
            clock=two.clock,
        )
    assert not Proposal.objects.filter(type="release").exists()


def test_opening_asks_for_the_coordinators_signature(
    two: Consortium, sent_tasks: SentTasks, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        proposal = two.propose_release(1, TWO)
    assert sent_tasks.waiting == [("ledger.tasks.countersign", (proposal.pk,), {})]
    two.approve(proposal, "org-a")
    two.approve(proposal, "org-b")
    assert [p.pk for p in selectors.unsigned_by_coordinator()] == [proposal.pk]


def test_a_lost_request_is_sent_again(two: Consortium, sent_tasks: SentTasks) -> None:
    proposal = two.propose_release(1, TWO)
    proposals.expire_due(clock=two.clock)
    assert sent_tasks.waiting == []
    two.clock.advance(timedelta(seconds=5))
    proposals.expire_due(clock=two.clock)
    assert sent_tasks.waiting == [("ledger.tasks.countersign", (proposal.pk,), {})]
    two.countersign(proposal)
    proposals.expire_due(clock=two.clock)
    assert len(sent_tasks.waiting) == 1


def test_a_broker_that_is_down_fails_nothing(
    two: Consortium, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(celery_app, "send_task", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        proposal = two.propose_release(1, TWO)
    assert proposal.status == "open"


def test_the_task_signs_by_the_system_clock(consortium: Consortium) -> None:
    consortium.clock.advance(SystemClock().now() - consortium.clock.now())
    proposal = consortium.propose_admission("org-a")
    countersign.run(proposal.pk)
    proposal.refresh_from_db()
    assert proposal.status == "sealed"


def test_who_is_asked(two: Consortium) -> None:
    proposal = two.propose_release(1, TWO)
    assert [p.pk for p in selectors.proposals_for("org-a")] == [proposal.pk]
    assert selectors.proposals_for("org-x") == []
    two.approve(proposal, "org-a")
    assert selectors.proposals_for("org-a") == []
    two.reject(proposal, "org-b")
    assert selectors.proposals_for("org-b") == []


def test_header_names_the_block_below(two: Consortium) -> None:
    proposal = two.propose_release(1, TWO)
    head = selectors.head()
    header = parse_header(header_of(proposal))
    assert (header.prev_hash, header.height) == (head.block_hash, head.height + 1)
