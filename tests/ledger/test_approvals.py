"""From proposal to block: bootstrap, quorum, and who may vote with what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flxdr.core import dsse
from flxdr.core.errors import FlxdrError
from flxdr.core.keys import Algorithm
from flxdr.platform.models import AuditEvent
from ledger import selectors
from ledger.chain.block import parse_header
from ledger.chain.entries import COORDINATOR
from ledger.errors import AlreadyAnswered, NotAVoter, ProposalClosed
from ledger.models import Approval, Proposal
from ledger.services import listeners
from ledger.services.proposals import expire_due
from ledger.services.verification import verify_ledger
from tests.ledger.chains import key_of
from tests.ledger.members import Consortium, header_of, statement_for

FIVE = ["org-a", "org-b", "org-c", "org-d", "org-e"]


class Recorder:
    """Keeps what the ledger tells."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def release_sealed(self, *, proposal: Proposal, block: Any) -> None:
        self.told.append(("release", block.model_hash))

    def entry_sealed(self, *, block: Any, entry: Any, clock: Any) -> None:
        self.told.append(("admit", entry.org_id))

    def proposal_ended(self, *, proposal: Proposal, reason: str) -> None:
        self.told.append((proposal.status, reason))


@pytest.fixture
def recorder() -> Recorder:
    recorder = Recorder()
    listeners.register(recorder)
    listeners.register(recorder)
    return recorder


@pytest.fixture
def five(consortium: Consortium) -> Consortium:
    consortium.admit(*FIVE)
    return consortium


def valid(consortium: Consortium) -> bool:
    return verify_ledger(clock=consortium.clock).chain_valid


def test_bootstrap_ends_with_the_second_member(consortium: Consortium) -> None:
    consortium.admit("org-a")
    alone = consortium.release(1, ["org-a"])
    assert (alone.rule, alone.voters, alone.threshold) == ("coordinator-only", [], 0)
    consortium.admit("org-b")
    proposal = consortium.propose_release(2, ["org-a"])
    assert (proposal.rule, proposal.voters, proposal.threshold) == ("quorum", ["org-a", "org-b"], 2)
    consortium.countersign(proposal)
    proposal = consortium.approve(proposal, "org-a")
    assert proposal.status == Proposal.Status.OPEN
    proposal = consortium.approve(proposal, "org-b")
    assert proposal.status == Proposal.Status.SEALED
    report = verify_ledger(clock=consortium.clock)
    assert report.chain_valid
    assert "3 block(s) between heights 1 and 3" in report.warnings[0]


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_four_of_five(consortium: Consortium, algorithm: Algorithm, recorder: Recorder) -> None:
    consortium.algorithm = algorithm
    consortium.admit(*FIVE)
    proposal = consortium.propose_release(1, FIVE)
    assert (proposal.voters, proposal.threshold) == (FIVE, 4)
    for org_id in FIVE[:4]:
        proposal = consortium.approve(proposal, org_id)
        assert proposal.status == Proposal.Status.OPEN
    proposal = consortium.countersign(proposal)
    assert proposal.status == Proposal.Status.SEALED
    block = selectors.head()
    assert bytes(block.header) == header_of(proposal)
    assert {a.org_id for a in selectors.approvals_of([block.block_hash])[block.block_hash]} == {
        COORDINATOR,
        *FIVE[:4],
    }
    assert recorder.told == [*(("admit", org_id) for org_id in FIVE), ("release", block.model_hash)]
    assert valid(consortium)


@pytest.mark.parametrize("coordinator_first", [True, False])
def test_the_coordinator_never_counts(consortium: Consortium, coordinator_first: bool) -> None:
    consortium.admit("org-a", "org-b")
    proposal = consortium.propose_release(1, ["org-a", "org-b"])
    steps = [lambda: consortium.countersign(proposal), lambda: consortium.approve(proposal, "org-a")]
    for step in steps if coordinator_first else reversed(steps):
        assert step().status == Proposal.Status.OPEN
    assert consortium.approve(proposal, "org-b").status == Proposal.Status.SEALED


def test_only_training_members_vote_if_they_are_enough(consortium: Consortium) -> None:
    consortium.admit("org-a", "org-b", "org-c")
    proposal = consortium.propose_release(1, ["org-a", "org-b", "keyless"])
    assert (proposal.voters, proposal.threshold) == (["org-a", "org-b"], 2)
    with pytest.raises(NotAVoter):
        consortium.approve(proposal, "org-c")
    assert parse_header(header_of(proposal)).provenance.training_orgs == ("keyless", "org-a", "org-b")  # type: ignore[union-attr]


def test_rejections_beyond_reach_end_it(consortium: Consortium, recorder: Recorder) -> None:
    consortium.admit(*FIVE)
    proposal = consortium.propose_release(1, FIVE)
    consortium.countersign(proposal)
    assert consortium.reject(proposal, "org-a").status == Proposal.Status.OPEN
    ended = consortium.reject(proposal, "org-b", "bytes do not match the hash")
    assert ended.status == Proposal.Status.REJECTED
    assert ended.end_reason == "rejected by org-a, org-b: bytes do not match the hash"
    assert recorder.told[-1] == (Proposal.Status.REJECTED, ended.end_reason)
    assert selectors.head().height == 5
    with pytest.raises(ProposalClosed) as closed:
        consortium.approve(proposal, "org-c")
    assert closed.value.fields["proposal_status"] == "rejected"
    assert valid(consortium)


def test_one_rejection_of_five_does_not_stop_four(consortium: Consortium) -> None:
    consortium.admit(*FIVE)
    proposal = consortium.propose_release(1, FIVE)
    consortium.reject(proposal, "org-a")
    for org_id in FIVE[1:]:
        consortium.approve(proposal, org_id)
    assert consortium.countersign(proposal).status == Proposal.Status.SEALED
    assert "org-a" not in {
        a.org_id for a in selectors.approvals_of([selectors.head().block_hash])[selectors.head().block_hash]
    }
    assert valid(consortium)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_of_answers(five: Consortium, data: st.DataObject) -> None:
    """Whatever comes in whatever order: sealed with the coordinator and four, ended by the second refusal."""
    order = data.draw(st.permutations([*FIVE, COORDINATOR]))
    refusing = data.draw(st.sets(st.sampled_from(FIVE)))
    with transaction.atomic():
        proposal = five.propose_release(1, FIVE)
        approved: set[str] = set()
        refused: set[str] = set()
        expected = "open"
        for org_id in order:
            if expected != "open":
                break
            if org_id == COORDINATOR:
                proposal = five.countersign(proposal)
            else:
                proposal = (five.reject if org_id in refusing else five.approve)(proposal, org_id)
            (refused if org_id in refusing else approved).add(org_id)
            if COORDINATOR in approved and len(approved) >= 5:
                expected = "sealed"
            elif len(refused) == 2:
                expected = "rejected"
            assert proposal.status == expected
        assert selectors.head().height == (6 if expected == "sealed" else 5)
        assert valid(five)
        transaction.set_rollback(True)


def test_answering_again_changes_nothing(consortium: Consortium) -> None:
    consortium.algorithm = Algorithm.ML_DSA_65  # its signatures differ every time
    consortium.admit("org-a", "org-b", "org-c")
    proposal = consortium.propose_release(1, ["org-a", "org-b", "org-c"])
    for _ in range(2):
        consortium.approve(proposal, "org-a")
        consortium.countersign(proposal)
    assert Approval.objects.filter(block_hash=proposal.block_hash).count() == 2
    consortium.approve(proposal, "org-b")
    sealed = consortium.approve(proposal, "org-c")
    assert consortium.approve(proposal, "org-c").status == sealed.status == Proposal.Status.SEALED
    assert consortium.countersign(proposal).status == Proposal.Status.SEALED
    assert valid(consortium)


def test_rejecting_again_changes_nothing(consortium: Consortium) -> None:
    consortium.admit(*FIVE)
    proposal = consortium.propose_release(1, FIVE)
    for _ in range(2):
        assert consortium.reject(proposal, "org-a").status == Proposal.Status.OPEN


def test_late_rejections_prove_that_an_expired_block_is_lost(consortium: Consortium, recorder: Recorder) -> None:
    consortium.admit(*FIVE)
    proposal = consortium.propose_release(1, FIVE)
    consortium.approve(proposal, "org-a")
    assert proposal.deadline is not None
    consortium.clock.advance(proposal.deadline - consortium.clock.now())
    assert expire_due(clock=consortium.clock) == 1
    told = list(recorder.told)
    for org_id in FIVE[1:]:
        assert consortium.reject(proposal, org_id).status == Proposal.Status.EXPIRED
    refusals = Approval.objects.filter(block_hash=proposal.block_hash, verdict=Approval.Verdict.REJECT)
    assert {refusal.org_id for refusal in refusals} == set(FIVE[1:])
    assert recorder.told == told
    with pytest.raises(AlreadyAnswered):
        consortium.reject(proposal, "org-a")


def test_a_sealed_block_takes_no_rejection(consortium: Consortium) -> None:
    consortium.admit(*FIVE)
    proposal = consortium.release(1, FIVE)
    with pytest.raises(ProposalClosed):
        consortium.reject(proposal, FIVE[-1])


def test_one_answer_per_organization(consortium: Consortium) -> None:
    consortium.admit(*FIVE)
    proposal = consortium.propose_release(1, FIVE)
    consortium.approve(proposal, "org-a")
    with pytest.raises(AlreadyAnswered):
        consortium.reject(proposal, "org-a")
    consortium.reject(proposal, "org-b")
    with pytest.raises(AlreadyAnswered):
        consortium.approve(proposal, "org-b")


def test_two_keys_of_one_organization_count_once(consortium: Consortium) -> None:
    consortium.admit("org-a", "org-b", "org-c")
    second = key_of("org-a second")
    statement = statement_for("org-a", second)
    endorsement = (key_of("org-a").public.key_id, dsse.sign(key_of("org-a"), dsse.REGISTRATION_TYPE, statement))
    consortium.seal(consortium.propose_admission("org-a", key=second, statement=statement, endorsement=endorsement))
    assert [key.key_id for key in selectors.members()["org-a"]] == [
        key_of("org-a").public.key_id,
        second.public.key_id,
    ]
    proposal = consortium.propose_release(1, ["org-a", "org-b", "org-c"])
    consortium.countersign(proposal)
    consortium.approve(proposal, "org-b")
    consortium.approve(proposal, "org-a")
    proposal = consortium.approve(proposal, "org-a", key=second)
    assert proposal.status == Proposal.Status.OPEN
    assert Approval.objects.filter(block_hash=proposal.block_hash, org_id="org-a").count() == 1
    proposal = consortium.approve(proposal, "org-c")
    assert proposal.status == Proposal.Status.SEALED
    assert valid(consortium)


def test_nobody_signs_after_the_deadline(consortium: Consortium) -> None:
    consortium.admit("org-a", "org-b")
    proposal = consortium.propose_release(1, ["org-a", "org-b"])
    consortium.approve(proposal, "org-a")
    assert proposal.deadline is not None
    consortium.clock.advance(proposal.deadline - consortium.clock.now())
    with pytest.raises(ProposalClosed):
        consortium.approve(proposal, "org-b")
    assert consortium.countersign(proposal).status == Proposal.Status.OPEN
    assert not Approval.objects.filter(block_hash=proposal.block_hash, org_id=COORDINATOR).exists()


def test_a_listener_that_fails_undoes_the_seal(consortium: Consortium) -> None:
    consortium.admit("org-a", "org-b")
    proposal = consortium.propose_release(1, ["org-a", "org-b"])
    consortium.countersign(proposal)
    consortium.approve(proposal, "org-a")

    class Failing(Recorder):
        def release_sealed(self, *, proposal: Proposal, block: Any) -> None:
            raise FlxdrError("no")

    failing = Failing()
    listeners.register(failing)
    with pytest.raises(FlxdrError):
        consortium.approve(proposal, "org-b")
    assert selectors.head().height == 2
    listeners.unregister(failing)
    assert consortium.approve(proposal, "org-b").status == Proposal.Status.SEALED


def test_every_transition_is_recorded_once(consortium: Consortium) -> None:
    consortium.admit("org-a", "org-b")
    before = AuditEvent.objects.order_by("-id").first()
    assert before is not None
    consortium.release(1, ["org-a", "org-b"])
    events = AuditEvent.objects.filter(id__gt=before.pk).order_by("id").values_list("kind", "actor")
    assert list(events) == [
        ("proposal.opened", COORDINATOR),
        ("approval.recorded", COORDINATOR),
        ("approval.recorded", "org-a"),
        ("approval.recorded", "org-b"),
        ("block.sealed", COORDINATOR),
    ]


def test_a_clock_that_was_set_back_does_not_turn_the_chain(consortium: Consortium) -> None:
    consortium.admit("org-a", "org-b")
    newest = selectors.head().timestamp
    consortium.clock.advance(timedelta(hours=-1))
    consortium.release(1, ["org-a", "org-b"])
    assert selectors.head().timestamp == newest
    consortium.clock.advance(timedelta(hours=1))
    assert valid(consortium)


def test_a_clock_that_was_set_back_lets_a_lapsed_admission_be_proposed_again(consortium: Consortium) -> None:
    consortium.admit("org-a", "org-b")
    consortium.clock.advance(timedelta(hours=-1))
    lapsed = consortium.propose_admission("org-c")
    assert lapsed.deadline is not None
    consortium.clock.advance(lapsed.deadline - consortium.clock.now())
    assert expire_due(clock=consortium.clock) == 1
    again = consortium.seal(consortium.propose_admission("org-c"))
    assert again.block_hash != lapsed.block_hash
    consortium.clock.advance(timedelta(hours=1))
    assert valid(consortium)
