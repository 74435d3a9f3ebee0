"""Who may mask for each other, and what binds them to one round."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import Any

import pytest

from privacy.errors import GroupInvalid, PrivacyParameterInvalid
from privacy.secagg.group import Group
from privacy.secagg.secrets import Secrets
from tests.privacy.secagg.parties import CONTEXT, Federation, party

SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]
"""The points of small order of Curve25519 and its twist with a coordinate below 2^255 - 19."""
TWICE_ENCODED = [
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0900000000000000000000000000000000000000000000000000000000000080",
]
"""Keys that X25519 would take for 0, 3 and 9."""


@pytest.fixture(scope="module")
def group() -> Group:
    return Federation(5).group


@pytest.mark.parametrize(
    ("count", "threshold"), [(3, 3), (4, 3), (5, 4), (6, 5), (9, 7), (12, 9), (50, 34), (200, 134)]
)
def test_the_threshold_is_more_than_two_thirds(count: int, threshold: int) -> None:
    names = [f"org-{number:03}" for number in range(count)]
    parties = tuple(party(name, Secrets.from_seed(hashlib.sha256(name.encode()).digest())) for name in names)
    group = Group(CONTEXT, parties)
    assert group.threshold == threshold
    assert [group.index_of(name) for name in names] == list(range(1, count + 1))


@pytest.mark.parametrize("name", ["mask_key", "share_key"])
@pytest.mark.parametrize("key", [*SMALL_ORDER, *TWICE_ENCODED])
def test_a_key_that_is_no_use_is_refused_from_its_party_alone(group: Group, name: str, key: str) -> None:
    changed: Any = {name: bytes.fromhex(key)}
    with pytest.raises(GroupInvalid) as refused:
        replace(group.parties[0], **changed)
    assert refused.value.fields == {"org_id": "org-000"}


@pytest.mark.parametrize("name", ["mask_key", "share_key", "seed_commitment"])
@pytest.mark.parametrize("length", [0, 31, 33])
def test_parts_of_another_length_are_refused(group: Group, name: str, length: int) -> None:
    changed: Any = {name: b"\1" * length}
    with pytest.raises(GroupInvalid, match=name):
        replace(group.parties[0], **changed)


def test_two_are_too_few_and_201_too_many(group: Group) -> None:
    with pytest.raises(GroupInvalid, match="2 parties"):
        Group(CONTEXT, group.parties[:2])
    with pytest.raises(GroupInvalid, match="201 parties"):
        Group(CONTEXT, (group.parties * 41)[:201])


def test_parties_come_in_order_and_once(group: Group) -> None:
    with pytest.raises(GroupInvalid, match="out of order"):
        Group(CONTEXT, group.parties[::-1])
    with pytest.raises(GroupInvalid, match="out of order"):
        Group(CONTEXT, (group.parties[0], *group.parties))


def test_nobody_has_another_ones_key(group: Group) -> None:
    first, second, *others = group.parties
    for copied in (
        replace(second, mask_key=first.mask_key),
        replace(second, share_key=first.share_key),
        replace(second, mask_key=first.share_key),
        replace(second, mask_key=second.share_key),
    ):
        with pytest.raises(GroupInvalid, match="advertised twice"):
            Group(CONTEXT, (first, copied, *others))


def test_a_context_is_a_hash(group: Group) -> None:
    with pytest.raises(GroupInvalid, match="context"):
        Group(b"round 7", group.parties)


def test_the_digest_tells_contexts_and_parties_apart(group: Group) -> None:
    first, *others = group.parties
    changed = [
        Group(bytes(32), group.parties),
        Group(CONTEXT, group.parties[:-1]),
        Group(CONTEXT, (replace(first, org_id="org-"), *others)),
        Group(CONTEXT, (replace(first, mask_key=first.share_key, share_key=first.mask_key), *others)),
        Group(CONTEXT, (replace(first, seed_commitment=bytes(32)), *others)),
    ]
    assert len({group.digest, *(other.digest for other in changed)}) == 6
    assert Group(CONTEXT, group.parties).digest == group.digest


def test_strangers_are_named(group: Group) -> None:
    with pytest.raises(GroupInvalid, match="org-007"):
        group.index_of("org-007")
    names = [party.org_id for party in group.parties]
    with pytest.raises(GroupInvalid, match="org-007"):
        group.subset([*names, "org-007"])
    with pytest.raises(GroupInvalid, match="org-000"):
        group.subset(names[:4], within=names[1:])


def test_repeating_a_name_makes_no_threshold(group: Group) -> None:
    with pytest.raises(GroupInvalid, match="3 of 5"):
        group.subset(["org-000", "org-001", "org-002", "org-002"])


def test_secrets_come_from_the_whole_seed_and_nothing_else() -> None:
    seed = os.urandom(32)
    once, again = Secrets.from_seed(seed), Secrets.from_seed(seed)
    assert (once.mask_key, once.share_key, once.seed_commitment) == (
        again.mask_key,
        again.share_key,
        again.seed_commitment,
    )
    parts = set()
    for bit in range(256):
        flipped = Secrets.from_seed((int.from_bytes(seed, "big") ^ 1 << bit).to_bytes(32, "big"))
        parts |= {flipped.mask_private, flipped.share_private, flipped.self_seed, flipped.sharing_seed}
    assert len(parts) == 4 * 256
    with pytest.raises(PrivacyParameterInvalid):
        Secrets.from_seed(seed[:31])


def test_secrets_are_not_shown() -> None:
    secrets = Secrets.from_seed(bytes(32))
    for secret in (secrets.mask_private, secrets.share_private, secrets.self_seed, secrets.sharing_seed):
        assert secret.hex() not in repr(secrets)
        assert repr(secret) not in repr(secrets)
