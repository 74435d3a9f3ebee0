"""What two parties share, and what a party's own mask comes from: seeds of masks and keys of sealed shares."""

from __future__ import annotations

from privacy.secagg.derivation import agree, derive
from privacy.secagg.group import Group
from privacy.secagg.masks import SignedSeed


def own_seed(self_seed: bytes, org_id: str, group: Group) -> SignedSeed:
    """The mask that nobody else adds."""
    return derive(self_seed, "self mask", group.digest, org_id.encode()), 1


def pairwise_seed(mask_private: bytes, org_id: str, peer: str, group: Group) -> SignedSeed:
    """The mask that `org_id`, whose private key it is, shares with `peer`: what one adds the other takes away."""
    first, second = sorted((org_id, peer))
    secret = agree(mask_private, group.party(peer).mask_key)
    return derive(secret, "pairwise mask", group.digest, first.encode(), second.encode()), 1 if org_id == first else -1


def sealing_key(share_private: bytes, org_id: str, peer: str, group: Group, *, sender: str) -> bytes:
    """The key of the one message that `sender`, one of the two, seals for the other in this group."""
    secret = agree(share_private, group.party(peer).share_key)
    recipient = peer if sender == org_id else org_id
    return derive(secret, "sealed shares", group.digest, sender.encode(), recipient.encode())
