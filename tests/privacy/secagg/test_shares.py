"""The unmask response as a document: one spelling, one share for each party."""

from __future__ import annotations

from typing import Any

import pytest

from privacy.errors import ShareInvalid
from privacy.secagg.shamir import PRIME
from privacy.secagg.shares import UnmaskShares

SHARE = (PRIME - 1).to_bytes(33, "big")
GOOD = UnmaskShares(self_seeds={"org-a": SHARE, "org-b": bytes(33)}, mask_keys={"org-c": b"\0" * 32 + b"\7"})


def test_it_comes_back() -> None:
    assert UnmaskShares.from_json(GOOD.as_json()) == GOOD
    assert GOOD.as_json()["self_seeds"]["org-a"] == "01" + "00" * 30 + "0128"


def test_it_is_not_shown() -> None:
    assert "org-a" not in repr(GOOD)
    assert SHARE.hex() not in repr(GOOD)


@pytest.mark.parametrize("share", [b"", SHARE[1:], b"\0" + SHARE, PRIME.to_bytes(33, "big"), b"\xff" * 33], ids=repr)
def test_shares_are_33_bytes_below_the_prime(share: bytes) -> None:
    for kinds in ({"self_seeds": {"org-a": share}, "mask_keys": {}}, {"self_seeds": {}, "mask_keys": {"org-a": share}}):
        with pytest.raises(ShareInvalid, match="org-a"):
            UnmaskShares(**kinds)


def test_both_secrets_of_one_party_are_refused() -> None:
    with pytest.raises(ShareInvalid, match="both secrets of org-a"):
        UnmaskShares(self_seeds={"org-a": SHARE}, mask_keys={"org-a": SHARE})
    document = GOOD.as_json()
    document["mask_keys"]["org-a"] = document["self_seeds"]["org-a"]
    with pytest.raises(ShareInvalid, match="both secrets of org-a"):
        UnmaskShares.from_json(document)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"self_seeds": {}},
        {"self_seeds": {}, "mask_keys": {}, "more": {}},
        {"self_seeds": [], "mask_keys": {}},
        {"self_seeds": {}, "mask_keys": None},
        {"self_seeds": {"org-a": None}, "mask_keys": {}},
        {"self_seeds": {"org-a": 7}, "mask_keys": {}},
        {"self_seeds": {"org-a": "xyz"}, "mask_keys": {}},
        {"self_seeds": {"org-a": SHARE.hex()[1:]}, "mask_keys": {}},
        {"self_seeds": {"org-a": SHARE.hex() + "00"}, "mask_keys": {}},
        {"self_seeds": {"org-a": "AB" * 33}, "mask_keys": {}},
        {"self_seeds": {"org-a": " ".join(["00"] * 33)}, "mask_keys": {}},
    ],
)
def test_other_documents_are_refused(document: Any) -> None:
    with pytest.raises(ShareInvalid):
        UnmaskShares.from_json(document)


@pytest.mark.parametrize(
    ("sharers", "survivors"),
    [("abc", "abc"), ("abc", "a"), ("abcd", "ab"), ("ab", "ab"), ("abc", "ac")],
)
def test_shares_are_those_that_the_sets_call_for(sharers: str, survivors: str) -> None:
    GOOD.require(sharers=["org-a", "org-b", "org-c"], survivors=["org-a", "org-b"])
    with pytest.raises(ShareInvalid, match="other parties"):
        GOOD.require(sharers=[f"org-{one}" for one in sharers], survivors=[f"org-{one}" for one in survivors])
