"""The shares that a party hands out so that the masks can be removed from the sum."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from privacy.errors import ShareInvalid
from privacy.secagg.shamir import PRIME, SHARE_BYTES

_KINDS = ("self_seeds", "mask_keys")


@dataclass(frozen=True, repr=False)
class UnmaskShares:
    """One party's shares of the others' secrets (and of its own): of each party one secret only, never both.

    Attributes:
        self_seeds: organisation -> share of the seed of its own mask, for those whose vectors are in the sum.
        mask_keys: organisation -> share of its private mask key, for those who dropped out before.

    Raises:
        ShareInvalid: both for one organisation, or a share that is not 33 bytes, big-endian and below the prime.
    """

    self_seeds: Mapping[str, bytes]
    mask_keys: Mapping[str, bytes]

    def __post_init__(self) -> None:
        both = self.self_seeds.keys() & self.mask_keys.keys()
        if both:
            raise ShareInvalid(
                f"shares of both secrets of {', '.join(sorted(both))}",
                expected="one of them: together they give the update away",
            )
        for shares in (self.self_seeds, self.mask_keys):
            for org_id, share in shares.items():
                if not is_share(share):
                    raise ShareInvalid(
                        f"the share of {org_id!r}", expected=f"{SHARE_BYTES} bytes, big-endian, below 2^256 + 297"
                    )

    def require(self, *, sharers: Collection[str], survivors: Collection[str]) -> None:
        """Refuse shares of other parties than these sets call for.

        Raises:
            ShareInvalid: not exactly the self seeds of the survivors and the mask keys of the other sharers.
        """
        if self.self_seeds.keys() != set(survivors) or self.mask_keys.keys() != set(sharers) - set(survivors):
            raise ShareInvalid(
                "shares of other parties than the survivors call for",
                expected="the self seed of every survivor and the mask key of every other sharer",
            )

    def as_json(self) -> dict[str, dict[str, str]]:
        """Lower-case hex."""
        return {kind: {org_id: share.hex() for org_id, share in getattr(self, kind).items()} for kind in _KINDS}

    @classmethod
    def from_json(cls, document: Any) -> UnmaskShares:
        """What `as_json` wrote.

        Raises:
            ShareInvalid: anything else.
        """
        if not isinstance(document, dict) or set(document) != set(_KINDS):
            raise ShareInvalid("an unmask response of other members", expected=" and ".join(_KINDS))
        return cls(*(_parsed(document[kind]) for kind in _KINDS))


def is_share(data: bytes) -> bool:
    """Whether it is the encoding of an element modulo the prime."""
    return len(data) == SHARE_BYTES and int.from_bytes(data, "big") < PRIME


def _parsed(shares: Any) -> dict[str, bytes]:
    if not isinstance(shares, dict):
        raise ShareInvalid("the shares are no object", expected="organisation -> share in hex")
    return {org_id: _from_hex(text) for org_id, text in shares.items()}


def _from_hex(text: Any) -> bytes:
    try:
        share = bytes.fromhex(text)
    except (TypeError, ValueError):
        share = b""
    if share.hex() != text:
        raise ShareInvalid("a share that is not hexadecimal", expected=f"{2 * SHARE_BYTES} lower-case hex digits")
    return share
