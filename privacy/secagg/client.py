"""A party's steps: share its secrets, mask its vector, and later hand out what removes the masks from the sum.

Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning", CCS 2017, figure 4. The caller
verifies who signed what, and keeps one answer for each step of a round; this module only computes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from privacy.errors import GroupInvalid, ShareInvalid
from privacy.secagg import shamir
from privacy.secagg.group import Group
from privacy.secagg.masks import SignedSeed
from privacy.secagg.pairs import own_seed, pairwise_seed, sealing_key
from privacy.secagg.secrets import Secrets
from privacy.secagg.shamir import SHARE_BYTES
from privacy.secagg.shares import UnmaskShares, is_share

SEALED_BYTES = 2 * SHARE_BYTES + 16
_NONCE = bytes(12)
"""Each key seals one message, which the seed and the group determine."""


def seal_shares(secrets: Secrets, org_id: str, group: Group) -> dict[str, bytes]:
    """For every other party its shares of the self seed and of the private mask key, sealed: 82 bytes each.

    Raises:
        GroupInvalid: the group has not this party, or has other public keys for it.
    """
    _require_own(secrets, org_id, group)
    sealed = {}
    for party, shares in zip(group.parties, _shares(secrets, group), strict=True):
        if party.org_id != org_id:
            key = sealing_key(secrets.share_private, org_id, party.org_id, group, sender=org_id)
            sealed[party.org_id] = ChaCha20Poly1305(key).encrypt(_NONCE, b"".join(shares), group.digest)
    return sealed


def open_shares(secrets: Secrets, org_id: str, group: Group, received: Mapping[str, bytes]) -> dict[str, bytes]:
    """What others sealed for this party: sender -> share of its self seed, then share of its mask key.

    Raises:
        GroupInvalid: a sender who is not of the group, or as `seal_shares`.
        ShareInvalid: what does not open (changed on the way, or sealed for another party, group or round) or holds no
            two shares.
    """
    _require_own(secrets, org_id, group)
    return {sender: _opened(secrets, org_id, group, sender, sealed) for sender, sealed in received.items()}


def mask_seeds(secrets: Secrets, org_id: str, group: Group, sharers: Collection[str]) -> list[SignedSeed]:
    """The masks of the party's vector: its own, and one with every other party that shared its secrets.

    Raises:
        GroupInvalid: fewer sharers than the threshold, a stranger among them, or not this party itself.
    """
    _require_own(secrets, org_id, group)
    sharing = group.subset(sharers)
    _require_member(org_id, sharing)
    peers = sorted(sharing - {org_id})
    return [
        own_seed(secrets.self_seed, org_id, group),
        *(pairwise_seed(secrets.mask_private, org_id, peer, group) for peer in peers),
    ]


def unmask(
    secrets: Secrets,
    org_id: str,
    group: Group,
    received: Mapping[str, bytes],
    *,
    sharers: Collection[str],
    survivors: Collection[str],
) -> UnmaskShares:
    """The shares that remove the masks from the sum over `survivors`: a self seed or a mask key for each sharer.

    Two answers for different survivors would give a vector away: the caller keeps the first and gives no other.

    Args:
        received: sealed shares of the other sharers; what others sent is left alone.
        sharers: whose masks the vectors carry.
        survivors: whose vectors are in the sum, as all of them signed.

    Raises:
        GroupInvalid: survivors who did not share, fewer than the threshold, or without this party.
        ShareInvalid: a sealed share that is missing or does not open.
    """
    _require_own(secrets, org_id, group)
    sharing = group.subset(sharers)
    surviving = group.subset(survivors, within=sharing)
    _require_member(org_id, surviving)
    missing = sharing - received.keys() - {org_id}
    if missing:
        raise ShareInvalid(f"no sealed share from {', '.join(sorted(missing))}", expected="one from every sharer")
    opened = {peer: _opened(secrets, org_id, group, peer, received[peer]) for peer in sharing - {org_id}}
    opened[org_id] = b"".join(_shares(secrets, group)[group.index_of(org_id) - 1])
    return UnmaskShares(
        self_seeds={peer: opened[peer][:SHARE_BYTES] for peer in sorted(surviving)},
        mask_keys={peer: opened[peer][SHARE_BYTES:] for peer in sorted(sharing - surviving)},
    )


def _shares(secrets: Secrets, group: Group) -> list[tuple[bytes, bytes]]:
    """For each party, in order, the shares of the self seed and of the mask key."""
    of_seed, of_key = (
        shamir.split(int.from_bytes(secret, "big"), secrets.first_shares(name, group), len(group.parties))
        for secret, name in ((secrets.self_seed, "self seed"), (secrets.mask_private, "mask key"))
    )
    return [
        (seed.to_bytes(SHARE_BYTES, "big"), key.to_bytes(SHARE_BYTES, "big"))
        for seed, key in zip(of_seed, of_key, strict=True)
    ]


def _opened(secrets: Secrets, org_id: str, group: Group, sender: str, sealed: bytes) -> bytes:
    key = sealing_key(secrets.share_private, org_id, sender, group, sender=sender)
    try:
        shares = ChaCha20Poly1305(key).decrypt(_NONCE, sealed, group.digest)
    except InvalidTag:
        shares = b""
    if not (is_share(shares[:SHARE_BYTES]) and is_share(shares[SHARE_BYTES:])):
        raise ShareInvalid(
            f"the sealed share of {sender!r} does not open, or is none",
            expected=f"{SEALED_BYTES} bytes: two shares that it sealed for {org_id!r} in this group",
            sender=sender,
        )
    return shares


def _require_own(secrets: Secrets, org_id: str, group: Group) -> None:
    party = group.party(org_id)
    if (party.mask_key, party.share_key, party.seed_commitment) != (
        secrets.mask_key,
        secrets.share_key,
        secrets.seed_commitment,
    ):
        raise GroupInvalid(
            f"the group has other keys for {org_id!r} than it advertised", expected="its own public keys", org_id=org_id
        )


def _require_member(org_id: str, members: Collection[str]) -> None:
    if org_id not in members:
        raise GroupInvalid(f"{org_id!r} is not among them", expected="a set with this party")
