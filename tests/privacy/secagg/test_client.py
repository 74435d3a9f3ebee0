"""What a party does only for its own round and group, and what it never hands out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from privacy.errors import GroupInvalid, ShareInvalid
from privacy.secagg import client
from privacy.secagg.group import Group
from privacy.secagg.pairs import sealing_key
from privacy.secagg.secrets import Secrets
from privacy.secagg.shamir import PRIME
from tests.privacy.secagg.parties import Federation, party

ME = "org-001"


@pytest.fixture
def federation() -> Federation:
    return Federation(5)


def test_the_same_seed_makes_the_same_bytes(federation: Federation) -> None:
    again = Federation(5)
    everybody = federation.names
    assert again.sealed == federation.sealed
    assert client.mask_seeds(again.secrets[ME], ME, again.group, everybody) == client.mask_seeds(
        federation.secrets[ME], ME, federation.group, everybody[::-1]
    )
    assert again.response(ME, everybody, everybody[:4]) == federation.response(ME, everybody, everybody[:4])


def test_each_of_the_others_gets_its_own_sealed_shares(federation: Federation) -> None:
    sealed = [data for messages in federation.sealed.values() for data in messages.values()]
    assert len(set(sealed)) == 5 * 4
    assert {len(data) for data in sealed} == {client.SEALED_BYTES}
    assert set(federation.sealed[ME]) == set(federation.names) - {ME}


def test_opened_shares_are_those_of_the_sender(federation: Federation) -> None:
    """A share that somebody handed out equals the one that its owner keeps for itself in the same place."""
    opened = client.open_shares(federation.secrets[ME], ME, federation.group, federation.received(ME, federation.names))
    assert set(opened) == set(federation.names) - {ME}
    response = federation.response(ME, federation.names, federation.names[:4])
    assert {name: opened[name][:33] for name in ("org-000", "org-002", "org-003")} == {
        name: share for name, share in response.self_seeds.items() if name != ME
    }
    assert response.mask_keys == {"org-004": opened["org-004"][33:]}


def test_of_nobody_both_shares_are_handed_out(federation: Federation) -> None:
    for survivors in (federation.names, federation.names[:4], federation.names[1:]):
        response = federation.response(ME, federation.names, survivors)
        assert set(response.self_seeds) == set(survivors)
        assert set(response.mask_keys) == set(federation.names) - set(survivors)


@pytest.mark.parametrize(
    ("sharers", "survivors"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3, 4]),
        ([0, 1, 2, 3], [0, 1, 2, 4]),
        ([0, 1, 2, 3, 4], [0, 1, 2]),
        ([0, 1, 2], [0, 1, 2]),
        ([0, 1, 2, 3, 4], [0, 2, 3, 4]),
        ([0, 1, 2, 3, 4], [0, 1, 2, 2]),
    ],
    ids=["late", "swapped", "too few", "too few shared", "without me", "counted twice"],
)
def test_unmask_refuses_sets_that_do_not_fit(federation: Federation, sharers: list[int], survivors: list[int]) -> None:
    names = federation.names
    with pytest.raises(GroupInvalid):
        client.unmask(
            federation.secrets[ME],
            ME,
            federation.group,
            federation.received(ME, names),
            sharers=[names[number] for number in sharers],
            survivors=[names[number] for number in survivors],
        )


@pytest.mark.parametrize("sharers", [[0, 1, 2], [0, 2, 3, 4], [0, 1, 2, 2]], ids=["too few", "without me", "twice"])
def test_masking_refuses_sets_that_do_not_fit(federation: Federation, sharers: list[int]) -> None:
    with pytest.raises(GroupInvalid):
        client.mask_seeds(federation.secrets[ME], ME, federation.group, [federation.names[n] for n in sharers])


def test_a_sharer_that_is_listed_twice_is_masked_once(federation: Federation) -> None:
    names, secrets = federation.names, federation.secrets[ME]
    assert client.mask_seeds(secrets, ME, federation.group, [*names, *names]) == client.mask_seeds(
        secrets, ME, federation.group, names
    )


def test_a_sharer_whose_shares_are_missing_is_named(federation: Federation) -> None:
    received = federation.received(ME, federation.names)
    del received["org-003"]
    with pytest.raises(ShareInvalid, match="org-003"):
        client.unmask(
            federation.secrets[ME],
            ME,
            federation.group,
            received,
            sharers=federation.names,
            survivors=federation.names,
        )


def changed(sealed: bytes) -> bytes:
    return sealed[:-1] + bytes([sealed[-1] ^ 1])


@pytest.mark.parametrize("tamper", [changed, lambda sealed: sealed[:-1], lambda sealed: sealed + b"\0", lambda _: b""])
def test_what_was_changed_on_the_way_does_not_open(federation: Federation, tamper: Callable[[bytes], bytes]) -> None:
    federation.sealed["org-003"][ME] = tamper(federation.sealed["org-003"][ME])
    with pytest.raises(ShareInvalid) as refused:
        federation.response(ME, federation.names, federation.names)
    assert refused.value.fields == {"sender": "org-003"}


@pytest.mark.parametrize(
    "other",
    [
        Federation(5, context=hashlib.sha256(b"another roster").digest()),
        Federation(5, label="another round "),
        Federation(6),
    ],
    ids=["another context", "other seeds", "a group of the same roster with one party more"],
)
def test_shares_of_another_round_or_group_do_not_open(federation: Federation, other: Federation) -> None:
    federation.sealed["org-003"][ME] = other.sealed["org-003"][ME]
    with pytest.raises(ShareInvalid, match="org-003"):
        federation.response(ME, federation.names, federation.names)


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [("org-003", "org-002"), ("org-002", ME), (ME, "org-003")],
    ids=["for somebody else", "of somebody else", "sent back"],
)
def test_shares_that_go_astray_do_not_open(federation: Federation, sender: str, recipient: str) -> None:
    federation.sealed["org-003"][ME] = federation.sealed[sender][recipient]
    with pytest.raises(ShareInvalid, match="org-003"):
        federation.response(ME, federation.names, federation.names)


@pytest.mark.parametrize(
    "shares",
    [b"", bytes(65), bytes(67), b"\xff" * 33 + bytes(33), bytes(33) + PRIME.to_bytes(33, "big")],
    ids=["nothing", "short", "long", "seed beyond the prime", "key beyond the prime"],
)
def test_what_opens_and_is_no_share_is_found_on_arrival(federation: Federation, shares: bytes) -> None:
    sender = "org-003"
    key = sealing_key(federation.secrets[sender].share_private, sender, ME, federation.group, sender=sender)
    sealed = ChaCha20Poly1305(key).encrypt(bytes(12), shares, federation.group.digest)
    with pytest.raises(ShareInvalid, match=sender):
        client.open_shares(federation.secrets[ME], ME, federation.group, {sender: sealed})


STEPS: dict[str, Callable[[Secrets, Group, Federation], Any]] = {
    "seal": lambda secrets, group, _: client.seal_shares(secrets, ME, group),
    "open": lambda secrets, group, federation: client.open_shares(secrets, ME, group, {}),
    "mask": lambda secrets, group, federation: client.mask_seeds(secrets, ME, group, federation.names),
    "unmask": lambda secrets, group, federation: client.unmask(
        secrets,
        ME,
        group,
        federation.received(ME, federation.names),
        sharers=federation.names,
        survivors=federation.names,
    ),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("part", ["mask_key", "share_key", "seed_commitment"])
def test_every_step_refuses_a_group_that_changed_what_this_party_advertised(
    federation: Federation, step: str, part: str
) -> None:
    foreign = party(ME, Secrets.from_seed(hashlib.sha256(b"foreign").digest()))
    parties = list(federation.group.parties)
    parties[1] = replace(parties[1], **{part: getattr(foreign, part)})
    group = Group(federation.group.context, tuple(parties))
    with pytest.raises(GroupInvalid, match="other keys"):
        STEPS[step](federation.secrets[ME], group, federation)


@pytest.mark.parametrize("step", STEPS)
def test_every_step_refuses_a_group_without_this_party(federation: Federation, step: str) -> None:
    group = Group(federation.group.context, federation.group.parties[:1] + federation.group.parties[2:])
    with pytest.raises(GroupInvalid, match="not of the group"):
        STEPS[step](federation.secrets[ME], group, federation)


def test_who_takes_another_ones_place_finds_other_masks(federation: Federation) -> None:
    """A coordinator that puts its own key in a party's place shares masks with nobody who saw the true group."""
    impostor = Secrets.from_seed(hashlib.sha256(b"coordinator").digest())
    parties = (*federation.group.parties[:4], party("org-004", impostor))
    forged = Group(federation.group.context, parties)
    names = federation.names
    deceived = dict(zip(names, client.mask_seeds(federation.secrets[ME], ME, forged, names), strict=True))
    honest = dict(zip(names, client.mask_seeds(federation.secrets[ME], ME, federation.group, names), strict=True))
    assert not {seed for seed, _ in deceived.values()} & {seed for seed, _ in honest.values()}
