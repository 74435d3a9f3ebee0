"""Rotations, revocations, withdrawals and policy changes, from the proposal to the index over the chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flxdr.core import dsse
from flxdr.core.clock import ManualClock
from flxdr.core.errors import FlxdrError, Malformed
from flxdr.core.keys import Algorithm, PrivateKey
from flxdr.platform.identity import make_next_coordinator_key
from flxdr.platform.models import AuditEvent
from ledger import selectors
from ledger.chain.failures import BlockInvalid
from ledger.errors import EntryForbidden, KeyNotAdmitted, ModelUnknown, NotAVoter, ProposalConflict
from ledger.models import GovernanceEntry, Proposal, SignerKey
from ledger.services import governance
from ledger.services.genesis import ensure_genesis
from ledger.services.verification import verify_ledger
from tests.ledger.chains import key_of
from tests.ledger.members import Consortium, rotation_for, statement_for

THREE = ["org-a", "org-b", "org-c"]
NEW = key_of("org-a new")


@pytest.fixture
def three(consortium: Consortium) -> Consortium:
    consortium.admit(*THREE)
    return consortium


def in_force(org_id: str) -> list[str]:
    return [key.key_id for key in selectors.members().get(org_id, [])]


def holds(consortium: Consortium) -> bool:
    return verify_ledger(clock=consortium.clock).chain_valid


def test_a_rotated_key_signs_from_the_next_block_on(three: Consortium) -> None:
    old = three.key("org-a")
    sealed = three.rotate("org-a", NEW)
    assert in_force("org-a") == [NEW.public.key_id]
    assert SignerKey.objects.get(key_id=old.public.key_id).revoked_height == sealed.height
    release = three.countersign(three.propose_release(1, THREE))
    with pytest.raises(KeyNotAdmitted):
        three.approve(release, "org-a", key=old)
    three.seal(release)
    assert holds(three)


def test_a_repeated_rotation_is_the_same_proposal(three: Consortium) -> None:
    """The signatures of ML-DSA are randomised: the second one carries others."""
    new = PrivateKey.generate(Algorithm.ML_DSA_65)
    first = three.propose_rotation("org-a", new)
    assert three.propose_rotation("org-a", new).pk == first.pk
    three.seal(first)
    assert three.propose_rotation("org-a", new, old=three.key("org-a")).pk == first.pk
    assert Proposal.objects.filter(subject__startswith="rotate").count() == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"caller": "org-b"}, EntryForbidden),
        ({"proof": bytes(64)}, BlockInvalid),
        ({"old": key_of("org-b")}, BlockInvalid),
        ({"endorsement": ("0" * 64, bytes(64))}, BlockInvalid),
    ],
)
def test_a_rotation_is_its_holders(three: Consortium, options: dict[str, Any], error: type[FlxdrError]) -> None:
    with pytest.raises(error):
        three.propose_rotation("org-a", NEW, **options)
    assert Proposal.objects.count() == 3


def test_the_coordinators_key_is_no_organizations(three: Consortium) -> None:
    old = three.key("org-a")
    statement = rotation_for("coordinator", NEW, old)
    with pytest.raises(BlockInvalid):
        three.propose_rotation("coordinator", NEW, statement=statement, old=old)


def test_one_rotation_of_a_key_waits(three: Consortium) -> None:
    waiting = three.propose_rotation("org-a", NEW)
    with pytest.raises(ProposalConflict) as refused:
        three.propose_rotation("org-a", key_of("org-a another"))
    assert refused.value.fields["proposal_id"] == waiting.pk


def test_a_retired_key_never_returns(three: Consortium) -> None:
    old = three.key("org-a")
    three.rotate("org-a", NEW)
    for propose in (
        lambda: three.propose_rotation("org-a", old, old=NEW),
        lambda: three.propose_admission("org-d", key=old),
    ):
        with pytest.raises(BlockInvalid) as refused:
            propose()
        assert refused.value.check == "admission_key_reused"


def test_the_coordinators_key_is_rotated(three: Consortium) -> None:
    new = make_next_coordinator_key()
    proposal = governance.propose_coordinator_rotation(new_key=new, actor="olivia", clock=three.clock)
    sealed = three.seal(proposal)
    assert selectors.key_set().coordinator.key_id == new.public.key_id
    assert str(sealed.subject).startswith("rotate coordinator")
    assert holds(three)


def test_a_revocation_is_decided_by_the_others(three: Consortium) -> None:
    proposal = three.countersign(three.propose_revocation("org-a", compromised_since=1))
    assert proposal.voters == ["org-b", "org-c"]
    with pytest.raises(NotAVoter):
        three.reject(proposal, "org-a")
    three.seal(proposal)
    assert not selectors.is_member("org-a")
    entry = GovernanceEntry.objects.get(action="revoke")
    assert (entry.org_id, entry.key_id) == ("org-a", three.key("org-a").public.key_id)
    assert holds(three)


def test_an_organization_asks_for_the_end_of_its_own_key_only(three: Consortium) -> None:
    with pytest.raises(EntryForbidden):
        three.propose_revocation("org-a", proposer="org-b")
    proposal = three.propose_revocation("org-a", proposer="org-a")
    event = AuditEvent.objects.get(kind="governance.proposed", data__entry=proposal.subject)
    assert event.actor == "org-a"


def test_a_repeated_revocation_is_the_same_proposal(three: Consortium) -> None:
    first = three.propose_revocation("org-a")
    assert three.propose_revocation("org-a").pk == first.pk
    with pytest.raises(ProposalConflict):
        three.propose_revocation("org-a", reason="it was lost")
    three.seal(first)
    assert three.propose_revocation("org-a").pk == first.pk
    with pytest.raises(BlockInvalid):
        three.propose_revocation("org-a", reason="it was lost")


def test_a_revocation_leaves_the_minimum(consortium: Consortium) -> None:
    consortium.admit("org-a", "org-b")
    with pytest.raises(BlockInvalid) as refused:
        consortium.propose_revocation("org-a")
    assert refused.value.check == "revocation_below_minimum"


@pytest.mark.parametrize(
    "changes", [{"reason": ""}, {"reason": "x" * 301}, {"key_id": "AB"}, {"compromised_since": -1}]
)
def test_what_no_block_can_hold_is_refused(three: Consortium, changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        three.propose_revocation("org-a", **{"key_id": "0" * 64, **changes})


def test_an_organization_that_left_comes_back_with_a_new_key(three: Consortium) -> None:
    three.seal(three.propose_revocation("org-a"))
    with pytest.raises(BlockInvalid):
        three.propose_admission("org-a")
    three.seal(three.propose_admission("org-a", key=NEW))
    assert in_force("org-a") == [NEW.public.key_id]
    assert holds(three)


def test_a_withdrawal_sends_the_lineage_back(three: Consortium) -> None:
    for number in (1, 2, 3):
        three.release(number, THREE)
    three.seal(three.propose_withdrawal(2))
    lineage = selectors.releases_of("global")
    assert lineage is not None
    assert lineage.current is not None
    assert (lineage.current.version, lineage.newest.version) == (1, 3)
    three.release(4, THREE, parent_model_hash=lineage.current.model_hash)
    assert holds(three)


def test_a_waiting_release_of_a_withdrawn_parent_lapses(three: Consortium) -> None:
    three.release(1, THREE)
    withdrawal = three.propose_withdrawal(1)
    waiting = three.propose_release(2, THREE)
    assert waiting.status == Proposal.Status.QUEUED
    three.seal(withdrawal)
    waiting.refresh_from_db()
    # After everything was withdrawn, any parent will do; the federation ends the round itself.
    assert waiting.status == Proposal.Status.OPEN


def test_only_what_was_released_is_withdrawn(three: Consortium) -> None:
    three.release(1, THREE)
    with pytest.raises(ModelUnknown):
        three.propose_withdrawal(2)
    with pytest.raises(ModelUnknown):
        three.propose_withdrawal(1, model_name="other")
    three.seal(three.propose_withdrawal(1))
    with pytest.raises(BlockInvalid) as refused:
        three.propose_withdrawal(1, reason="again, for another reason")
    assert refused.value.check == "withdrawal_unknown"


def test_members_ask_for_a_withdrawal(three: Consortium) -> None:
    three.release(1, THREE)
    with pytest.raises(EntryForbidden):
        three.propose_withdrawal(1, proposer="org-x")
    assert three.propose_withdrawal(1, proposer="org-b").subject == "withdraw_release global v1"


def test_the_members_change_the_policy(three: Consortium) -> None:
    three.seal(three.propose_policy(minimum=3))
    assert selectors.quorum_policy().minimum == 3
    assert three.propose_release(1, THREE).threshold == 3
    with pytest.raises(ProposalConflict):
        three.propose_policy(minimum=3)
    three.countersign(three.propose_policy())
    assert holds(three)


def test_a_policy_may_return(three: Consortium) -> None:
    for minimum in (3, 2, 3):
        three.seal(three.propose_policy(minimum=minimum))
    assert selectors.quorum_policy().minimum == 3
    assert holds(three)


def test_a_policy_that_nobody_could_meet_is_refused(three: Consortium) -> None:
    with pytest.raises(BlockInvalid) as refused:
        three.propose_policy(minimum=4)
    assert refused.value.check == "policy_unreachable"


def test_signatures_do_not_tell_entries_apart(three: Consortium) -> None:
    new = PrivateKey.generate(Algorithm.ML_DSA_65)
    statement = rotation_for("org-a", new, three.key("org-a"))
    proofs = [dsse.sign(new, dsse.ROTATION_TYPE, statement) for _ in range(2)]
    assert proofs[0] != proofs[1]
    assert len({three.propose_rotation("org-a", new, proof=proof).content_hash for proof in proofs}) == 1


def test_a_policy_that_fewer_members_can_meet_ends_the_bootstrap(
    empty_ledger: None, clock: ManualClock, env: Callable[..., Any]
) -> None:
    """What the services think of the bootstrap is what every verifier derives."""
    env(blockchain_quorum_min=3, blockchain_verification_method="operator")
    ensure_genesis(clock=clock)
    consortium = Consortium(clock)
    consortium.admit("org-a", "org-b")
    consortium.seal(consortium.propose_policy(minimum=2))
    further, old = key_of("org-a, further"), consortium.key("org-a")
    signature = dsse.sign(old, dsse.REGISTRATION_TYPE, statement_for("org-a", further))
    admission = consortium.propose_admission("org-a", key=further, endorsement=(old.public.key_id, signature))
    assert consortium.seal(admission).rule == "quorum"
    assert consortium.release(1, ["org-a", "org-b"]).rule == "quorum"
    assert holds(consortium)
