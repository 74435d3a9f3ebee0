"""An agent shares its secrets only with those whom the chain knows, who joined this very round, and only once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from federation.agent.errors import CheckFailed
from federation.masking.steps import Step
from flxdr.core import dsse
from flxdr.core.errors import FlxdrError
from flxdr.core.keys import Algorithm, PrivateKey
from ledger.chain.entries import Revoke
from tests.agent.conftest import ORG, Bench
from tests.agent.masking.masking_coordinator import Answer, MaskingCoordinator, Peer
from tests.privacy.secagg.test_group import SMALL_ORDER

Entries = dict[str, Answer]
Lie = Callable[[MaskingCoordinator, Entries], object]
STRANGER = Peer("org-x", PrivateKey.generate(Algorithm.ED25519), bytes(32))


def other_key_unsigned(masking: MaskingCoordinator, entries: Entries) -> None:
    changed = masking.peers["org-b"].advertisement(masking.config, mask_key=STRANGER.secrets.mask_key)
    entries["org-b"] |= {"statement": changed["statement"]}


def other_key_signed_by_the_coordinator(masking: MaskingCoordinator, entries: Entries) -> None:
    liar = replace(masking.peers["org-b"], key=masking.bench.coordinator.key)
    entries["org-b"] = liar.advertisement(masking.config, mask_key=STRANGER.secrets.mask_key)


def other_key_signed_by_a_peer(masking: MaskingCoordinator, entries: Entries) -> None:
    entries["org-b"] = replace(masking.peers["org-b"], key=masking.peers["org-c"].key).advertisement(masking.config)


def signed_as_something_else(masking: MaskingCoordinator, entries: Entries) -> None:
    peer = masking.peers["org-b"]
    statement = dsse.decode_base64(entries["org-b"]["statement"], "statement")
    entries["org-b"] = peer.signed(statement, dsse.SUBMISSION_TYPE)


def for_another(**changes: Any) -> Lie:
    """A valid signature of a peer over another round's advertisement."""

    def lie(masking: MaskingCoordinator, entries: Entries) -> None:
        entries["org-b"] = masking.peers["org-b"].advertisement(replace(masking.config, **changes))

    lie.__name__ = f"for_another_{'_'.join(changes)}"
    return lie


def a_stranger(masking: MaskingCoordinator, entries: Entries) -> None:
    entries["org-x"] = STRANGER.advertisement(masking.config)


def a_stranger_under_a_peers_name(masking: MaskingCoordinator, entries: Entries) -> None:
    entries["org-b"] = replace(STRANGER, org_id="org-b").advertisement(masking.config)


def one_under_anothers_name(masking: MaskingCoordinator, entries: Entries) -> None:
    entries["org-d"] |= {"statement": entries["org-c"]["statement"]}


def a_key_of_small_order(masking: MaskingCoordinator, entries: Entries) -> None:
    key = bytes.fromhex(SMALL_ORDER[0])
    entries["org-b"] = masking.peers["org-b"].advertisement(masking.config, mask_key=key)


def a_peers_key_again(masking: MaskingCoordinator, entries: Entries) -> None:
    key = masking.peers["org-c"].secrets.share_key
    entries["org-b"] = masking.peers["org-b"].advertisement(masking.config, mask_key=key)


def without_the_agent(_: MaskingCoordinator, entries: Entries) -> None:
    del entries[ORG]


def two_alone(_: MaskingCoordinator, entries: Entries) -> None:
    del entries["org-c"], entries["org-d"]


def no_signature(_: MaskingCoordinator, entries: Entries) -> None:
    del entries["org-b"]["signature"]


def no_object(_: MaskingCoordinator, entries: Entries) -> None:
    entries["org-b"] = []  # type: ignore[assignment]  # that is the point


LIES: list[Lie] = [
    other_key_unsigned,
    other_key_signed_by_the_coordinator,
    other_key_signed_by_a_peer,
    signed_as_something_else,
    for_another(round_id="another-round"),
    for_another(parent_hash="0" * 64),
    for_another(min_orgs=1),
    for_another(privacy={"mechanism": "other"}),
    a_stranger,
    a_stranger_under_a_peers_name,
    one_under_anothers_name,
    a_key_of_small_order,
    a_peers_key_again,
    without_the_agent,
    two_alone,
    no_signature,
    no_object,
]


def show(masking: MaskingCoordinator, lie: Lie) -> None:
    """From now on the coordinator shows another roster."""

    def shown(honest: Answer) -> Answer:
        entries = {entry["org_id"]: entry for entry in honest["advertisements"]}
        lie(masking, entries)
        return {"nonces": {}, "advertisements": list(entries.values())}

    masking.lies["roster"] = shown


def refuses_to_share(masking: MaskingCoordinator, match: str = "") -> None:
    sent = len(masking.posted["shares"])
    with pytest.raises(CheckFailed, match=match or "."):
        masking.run(Step.SHARES)
    assert len(masking.posted["shares"]) == sent


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_false_roster_gets_no_shares_and_the_true_one_still_does(masking: MaskingCoordinator, lie: Lie) -> None:
    masking.run(Step.ADVERTISE)
    show(masking, lie)
    refuses_to_share(masking)
    del masking.lies["roster"]
    masking.run(Step.SHARES)
    (body,) = masking.posted["shares"]
    assert set(json.loads(body)["shares"]) == {"org-b", "org-c", "org-d"}


@pytest.mark.parametrize("answer", [{}, {"advertisements": None}, {"advertisements": []}, {"advertisements": {}}])
def test_no_roster_gets_no_shares(masking: MaskingCoordinator, answer: Answer) -> None:
    masking.run(Step.ADVERTISE)
    masking.lies["roster"] = lambda _: answer
    refuses_to_share(masking)


def test_members_who_are_no_participants_get_no_shares(four: Bench) -> None:
    masking = MaskingCoordinator.start(four, participants=("org-a", "org-b", "org-c"))
    masking.run(Step.ADVERTISE)
    refuses_to_share(masking, "org-d is no participant")


def test_a_key_that_was_revoked_signs_nothing(masking: MaskingCoordinator) -> None:
    masking.run(Step.ADVERTISE)
    key_id = masking.peers["org-d"].key.public.key_id
    masking.bench.coordinator.govern(Revoke(org_id="org-d", key_id=key_id, compromised_since=None, reason="stolen"))
    refuses_to_share(masking, "no key of org-d on the verified chain")


def left_out(_: MaskingCoordinator, entries: Entries) -> None:
    del entries["org-d"]


def another_one_twice(masking: MaskingCoordinator, entries: Entries) -> None:
    entries["org-d"] = masking.peers["org-c"].advertisement(masking.config, samples=7)


@pytest.mark.parametrize("lie", [left_out, another_one_twice])
def test_fewer_than_the_round_promised_get_no_shares(four: Bench, lie: Lie) -> None:
    masking = MaskingCoordinator.start(four, min_orgs=4)
    masking.run(Step.ADVERTISE)
    show(masking, lie)
    refuses_to_share(masking, "lists org-a, org-b, org-c; expected: 4 or more")


def test_the_own_advertisement_of_an_earlier_round_is_none(masking: MaskingCoordinator) -> None:
    masking.run(Step.ADVERTISE)
    earlier = json.loads(masking.posted["advertise"][0]) | {"org_id": ORG}
    again = MaskingCoordinator.start(masking.bench, round_id="another-round")
    again.run(Step.ADVERTISE)
    show(again, lambda _, entries: entries.update({ORG: earlier}))
    refuses_to_share(again, "own advertisement")


def test_a_second_roster_is_refused_for_ever(masking: MaskingCoordinator) -> None:
    masking.run_until(Step.MASKED_INPUT)
    show(masking, left_out)
    refuses_to_share(masking, "another story")
    del masking.lies["roster"]
    masking.run(Step.SHARES)
    first, again = masking.posted["shares"]
    assert first == again


def test_the_same_round_in_another_configuration_gets_nothing_more(masking: MaskingCoordinator) -> None:
    masking.run_until(Step.MASKED_INPUT)
    masking.bench.coordinator.config = replace(masking.config, weighting="equal")
    for step in (Step.SHARES, Step.MASKED_INPUT, Step.CONSISTENCY, Step.UNMASK):
        with pytest.raises(FlxdrError):
            masking.run(step)
    assert len(masking.posted["shares"]) == 1
    assert not masking.posted["submit-gradient"]


def test_a_round_that_another_home_joined_is_not_shared_in(masking: MaskingCoordinator) -> None:
    masking.lies["roster"] = lambda _: {"nonces": {}, "advertisements": masking.advertisements()}
    masking.posted["advertise"].append(b"{}")
    refuses_to_share(masking, "has not joined")
