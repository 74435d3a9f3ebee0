"""What the coordinator computes: the masks that are left in the sum of the survivors' vectors, from their shares."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from privacy.errors import UnmaskFailed
from privacy.secagg.derivation import public_key
from privacy.secagg.group import Group
from privacy.secagg.masks import SignedSeed
from privacy.secagg.pairs import own_seed, pairwise_seed
from privacy.secagg.reconstruction import Reconstruction
from privacy.secagg.secrets import commitment
from privacy.secagg.shares import UnmaskShares


@dataclass(frozen=True)
class WrongShare:
    """A share of `owner`'s secret from `sender` that does not belong to it: one of the two is at fault."""

    owner: str
    sender: str


@dataclass(frozen=True)
class Remaining:
    """The masks in a sum, for `masks.subtract`, and the shares that had to be left out to find them."""

    seeds: list[SignedSeed]
    wrong_shares: list[WrongShare]


def remaining_seeds(
    group: Group, sharers: Collection[str], survivors: Collection[str], responses: Mapping[str, UnmaskShares]
) -> Remaining:
    """Find what is left in the sum over `survivors` of their masked vectors.

    That is every survivor's own mask, and the pairwise masks of survivors with those who shared and then dropped out;
    the other masks cancel. Every secret is checked against what its owner advertised.

    Args:
        sharers: whose pairwise masks the vectors carry.
        responses: survivor -> its shares, of at least `threshold` survivors.

    Raises:
        GroupInvalid: the sets do not fit each other, or one is below the threshold.
        ShareInvalid: shares of other parties than the sets call for.
        UnmaskFailed: the shares of `owner` do not give what it advertised, whichever of them are left out.
    """
    sharing = group.subset(sharers)
    surviving = group.subset(survivors, within=sharing)
    shares = _Shares(group, {sender: responses[sender] for sender in sorted(group.subset(responses, within=surviving))})
    shares.require(sharers=sharing, survivors=surviving)
    seeds = [own_seed(shares.self_seed(owner), owner, group) for owner in sorted(surviving)]
    for owner in sorted(sharing - surviving):
        mask_private = shares.mask_private(owner)
        pairs = (pairwise_seed(mask_private, owner, survivor, group) for survivor in sorted(surviving))
        seeds += [(seed, -sign) for seed, sign in pairs]
    return Remaining(seeds, shares.wrong)


class _Shares:
    """The responses of one round, and what they reconstruct."""

    def __init__(self, group: Group, responses: Mapping[str, UnmaskShares]) -> None:
        self._group = group
        self._responses = responses
        self._reconstruction = Reconstruction([group.index_of(sender) for sender in responses], group.threshold)
        self.wrong: list[WrongShare] = []

    def require(self, *, sharers: Collection[str], survivors: Collection[str]) -> None:
        for response in self._responses.values():
            response.require(sharers=sharers, survivors=survivors)

    def self_seed(self, owner: str) -> bytes:
        advertised = self._group.party(owner).seed_commitment
        shares = [response.self_seeds[owner] for response in self._responses.values()]
        return self._secret(owner, shares, lambda candidate: commitment(candidate) == advertised)

    def mask_private(self, owner: str) -> bytes:
        advertised = self._group.party(owner).mask_key
        shares = [response.mask_keys[owner] for response in self._responses.values()]
        return self._secret(owner, shares, lambda candidate: public_key(candidate) == advertised)

    def _secret(self, owner: str, shares: Collection[bytes], holds: Callable[[bytes], bool]) -> bytes:
        found = self._reconstruction.find([int.from_bytes(share, "big") for share in shares], holds)
        senders = list(self._responses)
        if found is None:
            raise UnmaskFailed(
                f"the shares from {', '.join(senders)} do not give the secret that {owner!r} advertised",
                expected=f"{self._group.threshold} right shares",
                action=f"{owner} shared another secret, or too many of the others handed out wrong shares.",
                owner=owner,
                wrong_shares=[{"owner": wrong.owner, "sender": wrong.sender} for wrong in self.wrong],
            )
        self.wrong += [WrongShare(owner, senders[position]) for position in found.wrong]
        return found.secret
