"""Prefix-preserving pseudonyms of IP addresses: Crypto-PAn (Fan, Xu, Ammar, Moon, Computer Networks 46(2), 2004).

Two addresses that share their first k bits have pseudonyms that share exactly their first k bits, so that subnets stay
visible. That is more than other pseudonyms give away: who knows some pairs learns the prefixes of their neighbours.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

KEY_BYTES = 32
_BLOCK = 16
_CHUNK_BLOCKS = 1 << 15  # half a mebibyte: stays in the processor's cache


class CryptoPan:
    """Args:
    key: 32 bytes; the first half is the AES key, the second is encrypted to become the padding.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key has {len(key)} bytes instead of {KEY_BYTES}")
        # A pseudorandom function of single blocks is what the paper asks for: no message has a structure to show.
        self._aes = Cipher(algorithms.AES(key[:_BLOCK]), modes.ECB()).encryptor()  # noqa: S305
        self._pad = np.frombuffer(self._aes.update(key[_BLOCK:]), dtype=">u4")

    def ipv4(self, addresses: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        """Pseudonyms of `addresses` (n), most significant octet first in each integer."""
        return self._anonymised(addresses.astype(">u4").reshape(-1, 1)).reshape(-1).astype(np.uint32)

    def ipv6(self, addresses: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Pseudonyms of `addresses` (n, 16), octets in network order."""
        words = np.ascontiguousarray(addresses, dtype=np.uint8).view(">u4")
        return self._anonymised(words).view(np.uint8)

    def _anonymised(self, words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        bits = 32 * words.shape[1]
        chunk = max(1, _CHUNK_BLOCKS // bits)
        result = np.empty_like(words)
        masks = _prefix_masks(bits)
        filled = self._pad[: words.shape[1]] & ~masks
        blocks = np.empty((chunk, bits, _BLOCK // 4), dtype=">u4")
        blocks[:] = self._pad
        for start in range(0, len(words), chunk):
            part = words[start : start + chunk]
            used = blocks[: len(part)]
            used[:, :, : words.shape[1]] = (part[:, None, :] & masks) | filled
            encrypted = np.frombuffer(self._aes.update(used.view(np.uint8).data), dtype=np.uint8)
            flips = np.packbits(encrypted[::_BLOCK].reshape(len(part), bits) >> 7, axis=1)
            result[start : start + chunk] = part ^ flips.view(">u4")
        return result


def _prefix_masks(bits: int) -> npt.NDArray[np.uint32]:
    """Row i (of `bits`) keeps the first i bits."""
    rows = ((((1 << bits) - 1) ^ (((1 << bits) - 1) >> i)).to_bytes(bits // 8, "big") for i in range(bits))
    return np.frombuffer(b"".join(rows), dtype=">u4").reshape(bits, bits // 32)
