"""Governance entries on the chain: what holds after each, and every way in which one can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from flxdr.core import dsse
from ledger.chain.entries import COORDINATOR, Action, PolicyEntry, SetPolicy
from ledger.chain.lineage import REMEMBERED
from ledger.chain.state import ChainState
from ledger.chain.verify import verify_chain
from tests.ledger.chains import POLICY, ChainBuilder, federation, hash_of, key_of, provenance
from tests.ledger.tampering import MEMBERS, TIP, first_bad, honest

Make = Callable[[ChainBuilder], Action]


def state_of(chain: ChainBuilder) -> ChainState:
    verification = chain.verified()
    assert verification.report.first_bad is None
    assert verification.state is not None
    return verification.state


def next_release(chain: ChainBuilder, parent: int | None, **changes: Any) -> Any:
    newest = state_of(chain).releases["global"].newest
    parent_hash = None if parent is None else hash_of(f"global {parent}")
    release = provenance(newest.version + 1, orgs=MEMBERS, parent_model_hash=parent_hash, **changes)
    return chain.release_header(release)


def test_a_rotated_key_signs_from_the_next_block_on() -> None:
    chain = honest()
    new = key_of("org-a, next")
    chain.govern(chain.rotation("org-a", new))
    old, chain.keys["org-a"] = chain.keys["org-a"], new
    chain.release(5, orgs=MEMBERS)
    state = state_of(chain)
    assert set(state.keys.members["org-a"]) == {new.public.key_id}
    assert state.keys.retired == {old.public.key_id}
    chain.keys["org-a"] = old
    chain.release(6, orgs=MEMBERS)
    assert first_bad(chain.records) == (TIP + 3, "approval_key", "approvals.org-a")


def test_the_coordinators_key_rotates_too() -> None:
    chain = honest()
    new = key_of("coordinator, next")
    chain.govern(chain.rotation(COORDINATOR, new))
    old, chain.keys[COORDINATOR] = chain.keys[COORDINATOR], new
    chain.release(5, orgs=MEMBERS)
    assert state_of(chain).keys.coordinator == new.public
    chain.keys[COORDINATOR] = old
    chain.release(6, orgs=MEMBERS)
    assert first_bad(chain.records) == (TIP + 3, "approval_key", "approvals.coordinator")


def test_a_rotation_cannot_use_its_own_key_yet() -> None:
    chain = honest()
    new = key_of("org-a, next")
    header = chain.governance_header(chain.rotation("org-a", new))
    chain.keys["org-a"] = new
    chain.append(header)
    assert first_bad(chain.records) == (TIP + 1, "approval_key", "approvals.org-a")


def test_a_revoked_key_signs_no_more_and_its_past_stays_valid() -> None:
    chain = honest()
    header = chain.governance_header(chain.revocation("org-d", since=6))
    assert header.governance.voters == ("org-a", "org-b", "org-c")
    assert header.governance.threshold == 3
    chain.append(header)
    state = state_of(chain)
    assert "org-d" not in state.keys.members
    (warning,) = [text for text in chain.verified().report.warnings if "compromised" in text]
    assert "org-d" in warning
    assert "height 6" in warning
    chain.release(5, orgs=MEMBERS[:3])
    record = chain.tip
    chain.records[-1] = replace(record, approvals=[*record.approvals, chain.approval(record.header, "org-d")])
    assert first_bad(chain.records) == (TIP + 2, "approval_not_voter", "approvals.org-d")


def test_a_revocation_without_doubt_warns_of_nothing() -> None:
    chain = honest()
    chain.govern(chain.revocation("org-d"))
    assert not [text for text in chain.verified().report.warnings if "compromised" in text]


@pytest.mark.parametrize(
    ("members", "voters", "threshold"),
    [(2, ("org-a", "org-b"), 2), (3, ("org-a", "org-b"), 2), (4, ("org-a", "org-b", "org-c"), 3), (7, None, 5)],
)
def test_who_votes_on_a_revocation(members: int, voters: tuple[str, ...] | None, threshold: int) -> None:
    names = [f"org-{letter}" for letter in "abcdefg"[:members]]
    chain = federation(*names)
    concerned = names[-1]
    second = key_of(f"{concerned}, second")
    chain.govern(chain.admission(concerned, second, endorser=chain.keys[concerned]))
    chain.govern(chain.revocation(concerned))
    governance = msgspec.json.decode(chain.tip.header)["governance"]
    assert governance["voters"] == list(voters or names[:-1])
    assert governance["threshold"] == threshold
    assert set(state_of(chain).keys.members[concerned]) == {second.public.key_id}


def test_who_lost_every_key_may_be_admitted_anew_with_another() -> None:
    chain = honest()
    chain.govern(chain.revocation("org-d"))
    chain.govern(chain.admission("org-d", key_of("org-d, anew")))
    assert set(state_of(chain).keys.members["org-d"]) == {key_of("org-d, anew").public.key_id}


@pytest.mark.parametrize("how", ["rotated", "revoked"])
def test_a_retired_key_never_comes_back(how: str) -> None:
    chain = honest()
    old = chain.keys["org-d"]
    if how == "rotated":
        chain.govern(chain.rotation("org-d", key_of("org-d, next")))
        chain.keys["org-d"] = key_of("org-d, next")
        chain.govern(chain.admission("org-d", old, endorser=chain.keys["org-d"]))
    else:
        chain.govern(chain.revocation("org-d"))
        chain.govern(chain.admission("org-d", old))
    assert first_bad(chain.records) == (TIP + 2, "admission_key_reused", "governance.actions[0].key.key_id")


def test_another_policy_holds_from_the_next_block_on() -> None:
    chain = honest()
    chain.govern(SetPolicy(PolicyEntry(method="multisig", numerator=1, denominator=2, minimum=3)))
    assert chain.verified().report.chain_valid
    header = chain.release_header(provenance(5, orgs=MEMBERS))
    assert header.governance.threshold == 3
    chain.append(header, [COORDINATOR, "org-a", "org-b", "org-d"])
    assert chain.verified().report.chain_valid
    assert chain.release_header(provenance(6, orgs=MEMBERS[:2])).governance.voters == MEMBERS


def test_members_may_take_the_say_from_an_operator_and_not_he_from_them() -> None:
    chain = ChainBuilder(policy=PolicyEntry(method="operator", numerator=2, denominator=3, minimum=2))
    chain.admit("org-a", "org-b")
    chain.govern(SetPolicy(POLICY))
    assert chain.release_header(provenance(1, orgs=("org-a", "org-b"))).governance.rule == "quorum"


def test_members_who_got_their_say_have_it_at_once_however_many_genesis_asked_for() -> None:
    chain = ChainBuilder(policy=PolicyEntry(method="operator", numerator=2, denominator=3, minimum=3))
    chain.admit("org-a", "org-b")
    chain.govern(SetPolicy(POLICY))
    assert chain.release_header(provenance(1, orgs=("org-a", "org-b"))).governance.rule == "quorum"
    chain.govern(chain.rotation("org-a", key_of("org-a, next")))
    assert state_of(chain).keys.bootstrap_over


def test_a_withdrawal_takes_the_later_releases_along() -> None:
    chain = honest()
    chain.govern(chain.withdrawal(3))
    lineage = state_of(chain).releases["global"]
    assert lineage.current is not None
    assert (lineage.newest.version, lineage.current.version) == (4, 2)
    chain.append(next_release(chain, parent=2))
    assert [one.version for one in state_of(chain).releases["global"].standing] == [1, 2, 5]


def test_after_a_withdrawal_the_bad_release_is_nobodys_parent() -> None:
    chain = honest()
    chain.govern(chain.withdrawal(4))
    chain.append(next_release(chain, parent=4))
    assert first_bad(chain.records) == (TIP + 2, "parent_mismatch", "provenance.parent_model_hash")


def test_a_model_begins_anew_when_all_of_it_is_withdrawn() -> None:
    chain = honest()
    chain.govern(chain.withdrawal(1))
    assert state_of(chain).releases["global"].current is None
    chain.append(next_release(chain, parent=None))
    assert state_of(chain).releases["global"].newest.version == 5


def test_withdrawals_reach_as_far_back_as_a_verifier_remembers() -> None:
    chain = federation("org-a", "org-b", releases=REMEMBERED + 2)
    oldest = 3  # of the last 32 versions
    for version, code in ((oldest - 1, "withdrawal_unknown"), (oldest, "withdrawal_too_deep")):
        records = list(chain.records)
        chain.govern(chain.withdrawal(version))
        assert first_bad(chain.records)[1] == code
        chain.records = records
    chain.govern(chain.withdrawal(oldest + 1))
    assert len(state_of(chain).releases["global"].standing) == 1


def _policy(**changes: Any) -> Make:
    return lambda _: SetPolicy(msgspec.structs.replace(POLICY, **changes))


def _retired_key(chain: ChainBuilder) -> Action:
    return chain.rotation("org-a", key_of("org-a, next"), retires=key_of("org-b").public.key_id)


def _forged_proof(chain: ChainBuilder) -> Action:
    action = chain.rotation("org-a", key_of("org-a, next"))
    return msgspec.structs.replace(action, proof=dsse.encode_base64(bytes(64)))


def _forged_endorsement(chain: ChainBuilder) -> Action:
    action = chain.rotation("org-a", key_of("org-a, next"), endorser=key_of("stranger"))
    owned = msgspec.structs.replace(action.endorsement, key_id=chain.keys["org-a"].public.key_id)
    return msgspec.structs.replace(action, endorsement=owned)


def _registration_as_rotation(chain: ChainBuilder) -> Action:
    """What the old key signed to endorse a further key does not retire that old key."""
    new = key_of("org-a, next")
    further = chain.admission("org-a", new, endorser=chain.keys["org-a"])
    assert further.endorsement is not None
    action = chain.rotation("org-a", new)
    return msgspec.structs.replace(action, endorsement=further.endorsement)


WRONG: dict[str, tuple[Make, str, str]] = {
    "rotation of another chain": (
        lambda c: c.rotation("org-a", key_of("x"), chain_id=hash_of("x")),
        "admission_statement",
        "governance.actions[0].statement.chain_id",
    ),
    "rotation of another new key": (
        lambda c: c.rotation("org-a", key_of("x"), key_id=hash_of("x")),
        "admission_statement",
        "governance.actions[0].statement.key_id",
    ),
    "rotation of another's key": (_retired_key, "key_not_in_force", "governance.actions[0].statement.retires"),
    "rotation under another name": (
        lambda c: c.rotation("org-a", key_of("x"), org_id="org-b"),
        "key_not_in_force",
        "governance.actions[0].statement.retires",
    ),
    "rotation to a key in use": (
        lambda c: c.rotation("org-a", key_of("org-b")),
        "admission_key_reused",
        "governance.actions[0].key.key_id",
    ),
    "rotation to the same key": (
        lambda c: c.rotation("org-a", key_of("org-a")),
        "admission_key_reused",
        "governance.actions[0].key.key_id",
    ),
    "rotation without proof of the new key": (_forged_proof, "admission_signature", "governance.actions[0].proof"),
    "rotation endorsed by another member": (
        lambda c: c.rotation("org-a", key_of("x"), endorser=key_of("org-b")),
        "admission_endorsement",
        "governance.actions[0].endorsement",
    ),
    "rotation with a forged endorsement": (
        _forged_endorsement,
        "admission_signature",
        "governance.actions[0].endorsement",
    ),
    "endorsement of a further key as that of a rotation": (
        _registration_as_rotation,
        "admission_signature",
        "governance.actions[0].endorsement",
    ),
    "coordinator's key rotated by a member": (
        lambda c: c.rotation(COORDINATOR, key_of("x"), endorser=key_of("org-a")),
        "admission_endorsement",
        "governance.actions[0].endorsement",
    ),
    "revocation of no member's key": (
        lambda c: c.revocation("org-a", org_id="org-x"),
        "key_not_in_force",
        "governance.actions[0].key_id",
    ),
    "revocation of another member's key": (
        lambda c: c.revocation("org-a", org_id="org-b"),
        "key_not_in_force",
        "governance.actions[0].key_id",
    ),
    "revocation of the coordinator's key": (
        lambda c: c.revocation(COORDINATOR),
        "key_not_in_force",
        "governance.actions[0].key_id",
    ),
    "compromised in the future": (
        lambda c: c.revocation("org-a", since=TIP + 1),
        "revocation_height",
        "governance.actions[0].compromised_since",
    ),
    "a quorum of more than all": (
        _policy(numerator=3, denominator=3),
        "policy_malformed",
        "governance.actions[0].policy",
    ),
    "more members asked for than there are": (
        _policy(minimum=5),
        "policy_unreachable",
        "governance.actions[0].policy.minimum",
    ),
    "withdrawal of an unknown release": (
        lambda c: c.withdrawal(5),
        "withdrawal_unknown",
        "governance.actions[0].model_version",
    ),
    "withdrawal of an unknown model": (
        lambda c: c.withdrawal(1, model_name="edge"),
        "withdrawal_unknown",
        "governance.actions[0].model_version",
    ),
    "withdrawal by another hash": (
        lambda c: c.withdrawal(4, model_hash=hash_of("x")),
        "withdrawal_unknown",
        "governance.actions[0].model_hash",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_signed_by_everybody_and_still_wrong(name: str) -> None:
    make, code, field = WRONG[name]
    chain = honest()
    chain.govern(make(chain))
    assert first_bad(chain.records) == (TIP + 1, code, field)


def test_no_revocation_below_the_minimum() -> None:
    chain = federation("org-a", "org-b")
    chain.govern(chain.revocation("org-b"))
    assert first_bad(chain.records) == (3, "revocation_below_minimum", "governance.actions[0].key_id")


def test_the_coordinator_alone_changes_no_policy() -> None:
    chain = ChainBuilder()
    chain.admit("org-a")
    chain.govern(SetPolicy(PolicyEntry(method="operator", numerator=1, denominator=2, minimum=1)))
    assert first_bad(chain.records) == (2, "policy_without_quorum", "governance.actions[0].policy.method")


def test_an_operated_chain_stays_so_until_it_gets_members_a_say() -> None:
    operator = PolicyEntry(method="operator", numerator=1, denominator=2, minimum=1)
    chain = ChainBuilder(policy=operator)
    chain.admit("org-a")
    chain.govern(SetPolicy(msgspec.structs.replace(operator, minimum=1, denominator=3)))
    assert first_bad(chain.records)[1] == "policy_without_quorum"


def test_two_entries_in_one_block_are_refused() -> None:
    chain = honest()
    header = chain.governance_header(chain.revocation("org-d"))
    actions = (*header.governance.actions, chain.admission("org-e", key_of("org-e")))
    governance = msgspec.structs.replace(header.governance, actions=actions)
    chain.append(msgspec.structs.replace(header, governance=governance))
    assert first_bad(chain.records) == (TIP + 1, "governance_malformed", "governance.actions")


@pytest.mark.parametrize("signers", [["org-a", "org-b"], ["org-a", "org-b", "org-d"]])
def test_a_revocation_by_too_few_or_with_the_vote_of_the_one_concerned(signers: list[str]) -> None:
    chain = honest()
    chain.govern(chain.revocation("org-d"), [COORDINATOR, *signers])
    assert first_bad(chain.records)[0] == TIP + 1


def test_a_deleted_revocation_breaks_the_chain_behind_it() -> None:
    chain = honest()
    chain.govern(chain.revocation("org-d"))
    chain.release(5, orgs=MEMBERS[:3])
    del chain.records[TIP + 1]
    assert first_bad(chain.records)[:2] == (TIP + 1, "height_mismatch")


def test_a_remembered_state_goes_on_with_what_was_governed() -> None:
    chain = honest()
    chain.govern(chain.rotation("org-a", key_of("org-a, next")))
    chain.keys["org-a"] = key_of("org-a, next")
    chain.govern(chain.withdrawal(4))
    restored = ChainState.from_json(state_of(chain).as_json())
    assert restored == state_of(chain)
    chain.append(next_release(chain, parent=3))
    assert verify_chain(chain.records[restored.height + 1 :], state=restored).report.chain_valid
