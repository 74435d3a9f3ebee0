"""Paillier rounds: whose key encrypts, how updates lie in plaintexts, and how a sum is opened and read.

Two organisations, drawn with the roster, each make a key for the round and wrap it for the other holders; the first of
them who shared its secrets counts. The coordinator multiplies ciphertexts, which adds what they hold, and takes the
masks out of the product without a key. A holder opens the product: it learns the sum that everybody learns, and its
openings convince everybody else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from federation.errors import RosterInvalid
from federation.masking import scaling
from federation.masking.roster import Roster
from federation.round_config import RoundConfig
from models_ml.fixed_point import Int64
from privacy.paillier import decryption, encryption
from privacy.paillier.decryption import Openings
from privacy.paillier.keys import PublicKey
from privacy.paillier.layout import Layout
from privacy.secagg import masks
from privacy.secagg.masks import SignedSeed

MAKERS = 2
"""Organisations that make a key, of which one is used."""
HOLDERS = 3
"""Organisations that can open the sum with it, the maker among them: any one of them is enough."""


def holders(roster: Roster) -> Sequence[str]:
    """The organisations that hold the round's keys, in the order in which they are asked to open the sum."""
    return roster.drawn[:HOLDERS]


def makers(roster: Roster) -> Sequence[str]:
    """The organisations that make keys, the first choice first."""
    return roster.drawn[:MAKERS]


def maker(roster: Roster, sharers: Collection[str]) -> str:
    """Whose key counts among those who shared their secrets, and with them their keys.

    Raises:
        RosterInvalid: no maker did.
    """
    for org_id in makers(roster):
        if org_id in sharers:
            return org_id
    raise RosterInvalid(
        "none of the organizations that make the round's key shared it", expected=" or ".join(makers(roster))
    )


def layout(config: RoundConfig, size: int) -> Layout:
    """Where each value of an update of `size` values lies."""
    return Layout(config.modulus_bits, scaling.bound(config), config.n_max, size)


@lru_cache(maxsize=16)
def public_key(data: bytes, modulus_bits: int) -> PublicKey:
    """The public key with these bytes; that it is one takes a while to check.

    Raises:
        KeyInvalid: it is none.
    """
    return PublicKey.from_bytes(data, modulus_bits)


def encrypted(public: PublicKey, arrangement: Layout, values: Int64, seeds: Iterable[SignedSeed]) -> bytes:
    """The body that an organisation submits: its packed values, masked in Z_n, encrypted."""
    plaintexts = arrangement.pack(values)
    amounts = _masks(public, arrangement, seeds)
    return encryption.encrypt(public, [plain + amount for plain, amount in zip(plaintexts, amounts, strict=True)])


def summed(public: PublicKey, arrangement: Layout, bodies: Iterable[bytes], seeds: Iterable[SignedSeed]) -> bytes:
    """Ciphertexts of the sum of the bodies, from which the masks of the seeds are taken away.

    Raises:
        CiphertextInvalid: a body that holds no ciphertexts.
    """
    columns = (encryption.parse(public, body, arrangement.ciphertexts) for body in bodies)
    product = encryption.add(public, columns)
    amounts = [-amount for amount in _masks(public, arrangement, seeds)]
    shifted = encryption.shift(public, product, amounts)
    return b"".join(ciphertext.to_bytes(arrangement.ciphertext_bytes) for ciphertext in shifted)


@dataclass(frozen=True)
class OpenedSums:
    """Sums of several groups, one after the other, and their openings, which `check` has verified."""

    arrangement: Layout
    openings: Openings

    @classmethod
    def check(cls, public: PublicKey, arrangement: Layout, sums: bytes, openings: bytes) -> OpenedSums:
        """Openings of exactly these sums.

        Raises:
            CiphertextInvalid, OpeningInvalid: they are not.
        """
        count = len(sums) // arrangement.ciphertext_bytes
        ciphertexts = encryption.parse(public, sums, count)
        opened = Openings.from_bytes(public, openings, count)
        decryption.verify(public, ciphertexts, opened)
        return cls(arrangement, opened)

    def values(self, group: int, parties: int) -> Int64:
        """The sum of a group of that many organisations, by the group's place.

        Raises:
            PlaintextInvalid, LayoutExceeded: no sum of values within the round's bound.
        """
        count = self.arrangement.ciphertexts
        return self.arrangement.unpack(self.openings.plaintexts[group * count : (group + 1) * count], parties)


def _masks(public: PublicKey, arrangement: Layout, seeds: Iterable[SignedSeed]) -> list[int]:
    """The sum of the seeds' masks in Z_n, one for each plaintext."""
    amounts = [0] * arrangement.ciphertexts
    for seed, sign in seeds:
        for index, amount in enumerate(masks.residues(seed, arrangement.ciphertexts, public.n)):
            amounts[index] = (amounts[index] + sign * amount) % public.n
    return amounts
