"""Wrong shares are found, left out and named; substituted secrets end the round."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import pytest

from privacy.errors import GroupInvalid, ShareInvalid, UnmaskFailed
from privacy.secagg import client, reconstruction
from privacy.secagg.group import Group
from privacy.secagg.secrets import Secrets
from privacy.secagg.server import Remaining, WrongShare, remaining_seeds
from privacy.secagg.shares import UnmaskShares
from tests.privacy.secagg.parties import CONTEXT, Federation, party

WRONG = hashlib.sha256(b"wrong").digest() + b"\7"


def falsified(shares: Mapping[str, bytes], owners: str) -> dict[str, bytes]:
    """Other shares of these owners; `*` for all."""
    return {owner: bytes(1) + WRONG[:32] if owners in {owner, "*"} else share for owner, share in shares.items()}


class Unmasking:
    """A round in which some drop out, and whose responses can be changed."""

    def __init__(self, count: int, *, dropped: int = 1, silent: int = 0) -> None:
        self.federation = Federation(count)
        self.survivors = self.federation.names[dropped:]
        responders = self.survivors[silent:]
        self.responses = {
            name: self.federation.response(name, self.federation.names, self.survivors) for name in responders
        }

    def lie(self, sender: str, owners: str = "*") -> None:
        response = self.responses[sender]
        self.responses[sender] = UnmaskShares(
            falsified(response.self_seeds, owners), falsified(response.mask_keys, owners)
        )

    def remaining(self) -> Remaining:
        return remaining_seeds(self.federation.group, self.federation.names, self.survivors, self.responses)


def test_what_is_left_are_own_masks_and_pairs_with_those_who_dropped_out() -> None:
    unmasking = Unmasking(7, dropped=2)
    federation = unmasking.federation
    expected = set()
    for name in unmasking.survivors:
        own, *pairwise = client.mask_seeds(federation.secrets[name], name, federation.group, federation.names)
        expected |= {own, *pairwise[:2]}
    remaining = unmasking.remaining()
    assert len(remaining.seeds) == 5 + 5 * 2
    assert set(remaining.seeds) == expected
    assert remaining.wrong_shares == []


@pytest.mark.parametrize(
    ("count", "liars"), [(6, ["org-003"]), (9, ["org-008"]), (12, ["org-001", "org-007"]), (50, ["org-049", "org-020"])]
)
def test_senders_of_wrong_shares_are_left_out_and_named(count: int, liars: list[str]) -> None:
    unmasking = Unmasking(count, dropped=1 if count > 6 else 0)
    expected = unmasking.remaining().seeds
    for liar in liars:
        unmasking.lie(liar)
    remaining = unmasking.remaining()
    assert remaining.seeds == expected
    named = {(wrong.owner, wrong.sender) for wrong in remaining.wrong_shares}
    assert {sender for _, sender in named} <= set(liars)
    assert remaining.wrong_shares[:1] == [WrongShare(unmasking.survivors[0], min(liars))]


def test_a_sender_may_be_wrong_about_one_owner_only() -> None:
    """Also about one that dropped out, and others about other owners."""
    unmasking = Unmasking(9)
    expected = unmasking.remaining().seeds
    unmasking.lie("org-004", "org-000")
    unmasking.lie("org-002", "org-007")
    remaining = unmasking.remaining()
    assert remaining.seeds == expected
    assert remaining.wrong_shares == [WrongShare("org-007", "org-002"), WrongShare("org-000", "org-004")]


def test_wrong_shares_that_leave_too_few_right_ones_end_the_round() -> None:
    unmasking = Unmasking(9)
    unmasking.lie("org-002")
    unmasking.lie("org-003")
    with pytest.raises(UnmaskFailed) as failed:
        unmasking.remaining()
    assert failed.value.fields["owner"] == "org-001"


def test_without_a_spare_share_a_wrong_one_ends_the_round() -> None:
    unmasking = Unmasking(3, dropped=0)
    unmasking.lie("org-001", "org-002")
    with pytest.raises(UnmaskFailed) as failed:
        unmasking.remaining()
    assert failed.value.fields == {"owner": "org-002", "wrong_shares": []}


def test_what_was_found_before_is_in_the_failure() -> None:
    unmasking = Unmasking(9)
    unmasking.lie("org-002", "org-003")
    for sender in ("org-001", "org-004", "org-005"):
        unmasking.lie(sender, "org-008")
    with pytest.raises(UnmaskFailed) as failed:
        unmasking.remaining()
    assert failed.value.fields == {
        "owner": "org-008",
        "wrong_shares": [{"owner": "org-003", "sender": "org-002"}],
    }


def test_the_search_for_wrong_shares_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconstruction, "MOST_ATTEMPTS", 5)
    unmasking = Unmasking(12)
    unmasking.lie("org-011")
    with pytest.raises(UnmaskFailed):
        unmasking.remaining()


@pytest.mark.parametrize("part", ["mask_key", "seed_commitment"])
def test_a_secret_that_is_not_the_advertised_one_is_found(part: str) -> None:
    """An organisation shares other secrets than those behind its public key and its commitment."""
    federation = Federation(6)
    foreign = party("org-005", Secrets.from_seed(hashlib.sha256(b"foreign").digest()))
    parties = (*federation.group.parties[:5], replace(federation.group.parties[5], **{part: getattr(foreign, part)}))
    group = Group(CONTEXT, parties)
    survivors = federation.names[:5] if part == "mask_key" else federation.names
    responses = {name: federation.response(name, federation.names, survivors) for name in survivors}
    with pytest.raises(UnmaskFailed, match="org-005"):
        remaining_seeds(group, federation.names, survivors, responses)


def test_responses_are_those_of_survivors() -> None:
    unmasking = Unmasking(6)
    unmasking.responses["org-000"] = unmasking.responses["org-001"]
    with pytest.raises(GroupInvalid, match="org-000"):
        unmasking.remaining()


def test_responses_below_the_threshold_are_refused() -> None:
    assert Unmasking(9, silent=1).remaining().wrong_shares == []
    with pytest.raises(GroupInvalid, match="6 of 9"):
        Unmasking(9, silent=2).remaining()


def test_responses_for_other_survivors_are_refused() -> None:
    unmasking = Unmasking(6)
    federation = unmasking.federation
    unmasking.responses["org-003"] = federation.response("org-003", federation.names, federation.names)
    with pytest.raises(ShareInvalid, match="other parties"):
        unmasking.remaining()


def test_survivors_who_did_not_share_are_refused() -> None:
    unmasking = Unmasking(6)
    with pytest.raises(GroupInvalid, match="org-005"):
        remaining_seeds(
            unmasking.federation.group, unmasking.federation.names[:5], unmasking.survivors, unmasking.responses
        )
