"""An agent signs one set of survivors, and unmasks it once enough of its group signed the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from federation.agent.errors import CheckFailed
from federation.masking.steps import Step
from flxdr.core import canonical, dsse
from flxdr.core.keys import Algorithm, PrivateKey
from privacy.secagg.shares import UnmaskShares
from tests.agent.conftest import ORG, Bench
from tests.agent.masking.masking_coordinator import Answer, MaskingCoordinator, Peer

Confirmations = Callable[[MaskingCoordinator], list[Answer]]
ALL = ["org-a", "org-b", "org-c", "org-d"]


def own(masking: MaskingCoordinator) -> Answer:
    entry: Answer = json.loads(masking.posted["consistency"][0])
    return entry | {"org_id": ORG}


@pytest.mark.parametrize(
    "survivors",
    [
        pytest.param(["org-b", "org-c", "org-d"], id="without the agent"),
        pytest.param(["org-a", "org-b"], id="below the threshold"),
        pytest.param([*ALL, "org-x"], id="with a stranger"),
        pytest.param([], id="nobody"),
    ],
)
def test_impossible_survivors_are_not_signed(masking: MaskingCoordinator, survivors: list[str]) -> None:
    masking.run_until(Step.CONSISTENCY)
    masking.survivors = survivors
    refuses_to_sign(masking)
    masking.survivors = ALL
    masking.run(Step.CONSISTENCY)
    assert own(masking)["statement"] == dsse.encode_base64(masking.statement())


def refuses_to_sign(masking: MaskingCoordinator) -> None:
    sent = len(masking.posted["consistency"])
    with pytest.raises(CheckFailed):
        masking.run(Step.CONSISTENCY)
    assert len(masking.posted["consistency"]) == sent


def test_who_did_not_share_does_not_survive(masking: MaskingCoordinator) -> None:
    masking.sharers = ALL[:3]
    masking.run_until(Step.CONSISTENCY)
    masking.survivors = ALL
    refuses_to_sign(masking)


def test_fewer_survivors_than_the_round_promised_are_not_signed(four: Bench) -> None:
    masking = MaskingCoordinator.start(four, min_orgs=4)
    masking.run_until(Step.CONSISTENCY)
    masking.survivors = ALL[:3]
    refuses_to_sign(masking)


@pytest.mark.parametrize("answer", [{}, {"survivors": None}, {"survivors": "org-a"}, {"survivors": [1]}])
def test_no_survivors_are_not_signed(masking: MaskingCoordinator, answer: Answer) -> None:
    masking.run_until(Step.CONSISTENCY)
    masking.lies["survivors"] = lambda _: answer
    refuses_to_sign(masking)


def test_one_set_of_survivors_is_signed_and_no_other(masking: MaskingCoordinator) -> None:
    masking.run_until(Step.UNMASK)
    masking.survivors = ALL[:3]
    refuses_to_sign(masking)
    masking.survivors = ALL
    masking.run(Step.CONSISTENCY)
    first, again = masking.posted["consistency"]
    assert first == again


def too_few(masking: MaskingCoordinator) -> list[Answer]:
    return [own(masking), masking.confirmation("org-b")]


def one_twice(masking: MaskingCoordinator) -> list[Answer]:
    return [*too_few(masking), masking.confirmation("org-b")]


def one_of_other_survivors(masking: MaskingCoordinator) -> list[Answer]:
    return [*too_few(masking), masking.confirmation("org-c", survivors=ALL[:3])]


def one_of_other_sharers(masking: MaskingCoordinator) -> list[Answer]:
    return [*too_few(masking), masking.confirmation("org-c", sharers=[*ALL, "org-x"])]


def one_of_another_round(masking: MaskingCoordinator) -> list[Answer]:
    return [*too_few(masking), masking.confirmation("org-c", round_id="another-round")]


def one_of_another_roster(masking: MaskingCoordinator) -> list[Answer]:
    return [*too_few(masking), masking.confirmation("org-c", roster_hash="0" * 64)]


def one_in_another_order(masking: MaskingCoordinator) -> list[Answer]:
    said = canonical.decode(masking.statement()) | {"survivors": ALL[::-1]}
    return [*too_few(masking), masking.peers["org-c"].signed(canonical.encode(said), dsse.SURVIVORS_TYPE)]


def forged(masking: MaskingCoordinator) -> list[Answer]:
    entry = masking.confirmation("org-b") | {"org_id": "org-c"}
    return [*too_few(masking), entry]


def forged_with_the_right_key_id(masking: MaskingCoordinator) -> list[Answer]:
    entry = masking.confirmation("org-b") | {"org_id": "org-c", "key_id": masking.peers["org-c"].key.public.key_id}
    return [*too_few(masking), entry]


def of_another_kind(masking: MaskingCoordinator) -> list[Answer]:
    peer = masking.peers["org-c"]
    return [*too_few(masking), peer.signed(masking.statement(), dsse.ADVERTISEMENT_TYPE)]


def of_a_stranger(masking: MaskingCoordinator) -> list[Answer]:
    stranger = Peer("org-x", PrivateKey.generate(Algorithm.ED25519), bytes(32))
    return [*too_few(masking), stranger.signed(masking.statement(), dsse.SURVIVORS_TYPE)]


LIES: list[Confirmations] = [
    too_few,
    one_twice,
    one_of_other_survivors,
    one_of_other_sharers,
    one_of_another_round,
    one_of_another_roster,
    one_in_another_order,
    forged,
    forged_with_the_right_key_id,
    of_another_kind,
    of_a_stranger,
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_without_enough_signatures_nothing_is_unmasked(masking: MaskingCoordinator, lie: Confirmations) -> None:
    masking.run_until(Step.UNMASK)
    masking.lies["consistency"] = lambda _: {"confirmations": lie(masking)}
    with pytest.raises(CheckFailed):
        masking.run(Step.UNMASK)
    assert not masking.posted["unmask"]
    assert masking.bench.open().state.masking.joined(masking.config.round_id) is not None
    masking.lies["consistency"] = lambda _: {"confirmations": [*too_few(masking), masking.confirmation("org-c")]}
    masking.run(Step.UNMASK)
    assert len(masking.posted["unmask"]) == 1


def test_a_drop_out_that_signs_all_the_same_does_not_count(masking: MaskingCoordinator) -> None:
    masking.run_until(Step.CONSISTENCY)
    masking.survivors = ALL[:3]
    masking.run(Step.CONSISTENCY)
    masking.lies["consistency"] = lambda _: {"confirmations": [*too_few(masking), masking.confirmation("org-d")]}
    with pytest.raises(CheckFailed, match="2 of the group confirm"):
        masking.run(Step.UNMASK)
    assert not masking.posted["unmask"]


def unmasked(masking: MaskingCoordinator) -> list[UnmaskShares]:
    return [UnmaskShares.from_json(json.loads(body)) for body in masking.posted["unmask"]]


def test_of_a_survivor_the_seed_is_given_and_of_a_drop_out_the_key(masking: MaskingCoordinator) -> None:
    masking.run_until(Step.CONSISTENCY)
    masking.survivors = ALL[:3]
    for step in (Step.CONSISTENCY, Step.UNMASK):
        masking.run(step)
    (shares,) = unmasked(masking)
    assert (set(shares.self_seeds), set(shares.mask_keys)) == (set(ALL[:3]), {"org-d"})


def test_nothing_is_unmasked_that_was_not_confirmed(masking: MaskingCoordinator) -> None:
    masking.run_until(Step.CONSISTENCY)
    masking.posted["consistency"].append(b"{}")
    with pytest.raises(CheckFailed, match="has not confirmed"):
        masking.run(Step.UNMASK)


def test_who_shared_is_what_was_masked_with_and_not_what_is_said_later(masking: MaskingCoordinator) -> None:
    masking.sharers = masking.survivors = ALL[:3]
    masking.run_until(Step.UNMASK)
    masking.lies["shares"] = lambda _: {"sharers": ALL, "shares": {}}
    masking.run(Step.UNMASK)
    (shares,) = unmasked(masking)
    assert (set(shares.self_seeds), set(shares.mask_keys)) == (set(ALL[:3]), set())


def test_what_was_unmasked_is_sent_again_and_nothing_else(masking: MaskingCoordinator) -> None:
    masking.run_until()
    masking.survivors = ALL[:3]
    refuses_to_sign(masking)

    def others(_: Any) -> Answer:
        return {"confirmations": [masking.confirmation(name) for name in ALL[1:3]]}

    masking.lies["consistency"] = others
    masking.run(Step.UNMASK)
    first, again = masking.posted["unmask"]
    assert first == again
