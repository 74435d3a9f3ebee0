"""How integers share Paillier plaintexts: one lane a value, wide enough that no sum reaches the next lane.

A party's value v, |v| <= B, lies in its lane as v + B, so between 0 and 2B. A sum over k of at most N parties lies
between 0 and 2BN, which is what a lane holds; the offsets add up to kB and are taken off again. Lane 0 is the lowest.
All lanes together stay one bit below the modulus, so that the sum is not reduced either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.paillier.errors import LayoutExceeded, PlaintextInvalid

_LANE_BITS_MAX = 62
"""Sums and their offsets stay within int64."""
_WORD_BYTES = 8
_BLOCK = 256
"""Plaintexts at a time: a byte for each of their bits is held."""


@dataclass(frozen=True)
class Layout:
    """Where each value of a vector lies.

    Args:
        modulus_bits: of the key's n, a multiple of 16.
        bound: B, the largest |v| of one party.
        parties_max: N, the most parties that are added.
        size: D, the number of values.

    Raises:
        LayoutExceeded: a number below 1, or a sum that needs more than 62 bits or a whole modulus.
    """

    modulus_bits: int
    bound: int
    parties_max: int
    size: int

    def __post_init__(self) -> None:
        if min(self.bound, self.parties_max, self.size) < 1 or self.modulus_bits % 16:
            raise LayoutExceeded(
                f"bound {self.bound}, {self.parties_max} parties, {self.size} values, {self.modulus_bits} bits",
                expected="at least one of each, and a modulus of a multiple of 16 bits",
            )
        if self.lane_bits > min(_LANE_BITS_MAX, self.modulus_bits - 1):
            raise LayoutExceeded(
                f"a sum of {self.parties_max} values up to {self.bound} needs {self.lane_bits} bits",
                expected=f"at most {min(_LANE_BITS_MAX, self.modulus_bits - 1)}",
                action="Lower the precision or the bound of a value, or the number of parties.",
            )

    @property
    def lane_bits(self) -> int:
        """Bits of a lane: those of 2BN."""
        return (2 * self.bound * self.parties_max).bit_length()

    @property
    def lanes(self) -> int:
        """Values in a plaintext."""
        return (self.modulus_bits - 1) // self.lane_bits

    @property
    def ciphertexts(self) -> int:
        """How many plaintexts, and so ciphertexts, hold the D values."""
        return math.ceil(self.size / self.lanes)

    @property
    def ciphertext_bytes(self) -> int:
        """Bytes of a ciphertext: twice the modulus."""
        return self.modulus_bits // 4

    @property
    def body_bytes(self) -> int:
        """Bytes of all ciphertexts."""
        return self.ciphertexts * self.ciphertext_bytes

    def pack(self, values: NDArray[np.int64]) -> list[int]:
        """The plaintexts of one party: D int64 in, `ciphertexts` integers out; lanes beyond D are 0.

        Raises:
            LayoutExceeded: another shape or dtype, or a value beyond the bound.
        """
        if values.shape != (self.size,) or values.dtype != np.int64:
            raise LayoutExceeded(
                f"values of shape {list(values.shape)} and type {values.dtype}", expected=f"{self.size} int64"
            )
        lowest, highest = int(values.min()), int(values.max())
        if lowest < -self.bound or highest > self.bound:
            raise LayoutExceeded(
                f"values from {lowest} to {highest}", expected=f"-{self.bound} to {self.bound}", bound=self.bound
            )
        lanes = np.zeros(self.ciphertexts * self.lanes, dtype="<u8")
        lanes[: self.size] = values + self.bound
        rows = lanes.reshape(self.ciphertexts, self.lanes)
        return [plaintext for span in self._blocks() for plaintext in self._joined(rows[span])]

    def unpack(self, plaintexts: Sequence[int], parties: int) -> NDArray[np.int64]:
        """The sums, D int64, from the summed plaintexts of `parties` parties.

        Raises:
            LayoutExceeded: more parties than there is headroom for, or none.
            PlaintextInvalid: a number that is no sum of that many packed vectors. A party that packs out of bounds can
                make one, or spoil its neighbours' lanes unnoticed.
        """
        if not 1 <= parties <= self.parties_max:
            raise LayoutExceeded(
                f"{parties} parties", expected=f"1 to {self.parties_max}", parties_max=self.parties_max
            )
        if len(plaintexts) != self.ciphertexts:
            raise PlaintextInvalid(f"{len(plaintexts)} plaintexts", expected=f"{self.ciphertexts}")
        for index, plaintext in enumerate(plaintexts):
            if plaintext < 0 or plaintext.bit_length() > self.lanes * self.lane_bits:
                raise PlaintextInvalid(
                    f"plaintext {index} does not fit its {self.lanes} lanes",
                    expected="a sum of packed values, from which every mask was removed",
                    index=index,
                )
        lanes = np.concatenate([self._split(plaintexts[span]) for span in self._blocks()])
        sums, padding = lanes[: self.size], lanes[self.size :]
        if (sums > 2 * self.bound * parties).any() or padding.any():
            raise PlaintextInvalid(
                f"a lane holds more than {parties} values up to {self.bound} add up to",
                expected="sums of values within the bound, and zeros after the last value",
            )
        return sums - parties * self.bound

    def _blocks(self) -> Iterator[slice]:
        for start in range(0, self.ciphertexts, _BLOCK):
            yield slice(start, min(start + _BLOCK, self.ciphertexts))

    def _joined(self, rows: NDArray[np.uint64]) -> list[int]:
        """K rows of lanes as K integers."""
        octets = rows.reshape(-1, 1).view(np.uint8)
        bits = np.unpackbits(octets, axis=1, count=self.lane_bits, bitorder="little")
        packed = np.packbits(bits.reshape(len(rows), -1), axis=1, bitorder="little")
        return [int.from_bytes(row.tobytes(), "little") for row in packed]

    def _split(self, plaintexts: Sequence[int]) -> NDArray[np.int64]:
        """K integers as the int64 of all their lanes."""
        used = self.lanes * self.lane_bits
        row_bytes = math.ceil(used / 8)
        joined = b"".join(plaintext.to_bytes(row_bytes, "little") for plaintext in plaintexts)
        rows = np.frombuffer(joined, dtype=np.uint8).reshape(len(plaintexts), row_bytes)
        bits = np.unpackbits(rows, axis=1, count=used, bitorder="little")
        octets = np.packbits(bits.reshape(-1, self.lane_bits), axis=1, bitorder="little")
        words = np.zeros((len(octets), _WORD_BYTES), dtype=np.uint8)
        words[:, : octets.shape[1]] = octets
        return words.view("<i8").ravel()
