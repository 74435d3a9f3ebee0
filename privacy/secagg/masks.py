"""Masks: AES-256-CTR keystreams, added to vectors of 32- or 64-bit words as they are made.

No mask is ever held as a whole: a block of keystream that fits the processor's cache is made and added at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from privacy.errors import MaskedVectorInvalid
from privacy.secagg.derivation import derive

SignedSeed = tuple[bytes, int]
"""A 32-byte seed and +1 or -1: whether its mask is added or taken away."""
Words = NDArray[np.unsignedinteger[Any]]
"""Little-endian uint32 or uint64."""

_BLOCK_BYTES = 1 << 16
_CIPHER_BYTES = 16
_EXCESS_BITS = 128


def add(vector: Words, seeds: Iterable[SignedSeed]) -> None:
    """Add the signed masks of the seeds in place, modulo 2^32 or 2^64.

    Args:
        vector: little-endian uint32 or uint64 of one dimension, contiguous and writable.

    Raises:
        MaskedVectorInvalid: another vector.
    """
    _require_words(vector)
    ciphers = [(_key(seed, vector.dtype), sign) for seed, sign in seeds]
    parts = _spans(vector.nbytes)
    if len(parts) == 1:
        _add_span(vector, ciphers, parts[0])
        return
    with ThreadPoolExecutor(len(parts), thread_name_prefix="masks") as pool:
        list(pool.map(lambda part: _add_span(vector, ciphers, part), parts))


def subtract(vector: Words, seeds: Iterable[SignedSeed]) -> None:
    """Take the signed masks of the seeds away, as `add` would add them."""
    add(vector, [(seed, -sign) for seed, sign in seeds])


def residues(seed: bytes, count: int, modulus: int) -> list[int]:
    """`count` numbers below `modulus`, each within 2^-128 of uniform: masks inside Paillier plaintexts."""
    size = (modulus.bit_length() + _EXCESS_BITS + 7) // 8
    stream = _encryptor(derive(seed, "residues", str(modulus).encode()), 0).update(bytes(count * size))
    return [int.from_bytes(stream[at : at + size], "big") % modulus for at in range(0, len(stream), size)]


def _require_words(vector: NDArray[Any]) -> None:
    if vector.dtype not in (np.dtype("<u4"), np.dtype("<u8")) or vector.ndim != 1:
        raise MaskedVectorInvalid(
            f"{vector.dtype.str} of shape {list(vector.shape)}", expected="a vector of little-endian uint32 or uint64"
        )
    if not (vector.flags.c_contiguous and vector.flags.writeable):
        raise MaskedVectorInvalid("the vector cannot be changed in place", expected="contiguous and writable memory")


def _spans(size: int) -> list[slice]:
    """Bytes for each thread: whole blocks, as many threads as this process has cores."""
    blocks = max(1, -(-size // _BLOCK_BYTES))
    threads = min(len(os.sched_getaffinity(0)), blocks)
    edges = [min(size, blocks * index // threads * _BLOCK_BYTES) for index in range(threads + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _add_span(vector: Words, ciphers: Sequence[tuple[bytes, int]], span: slice) -> None:
    """Every mask on the bytes of one span, block by block, so that the block stays in the cache."""
    counter = span.start // _CIPHER_BYTES
    streams = [(_encryptor(key, counter), np.add if sign > 0 else np.subtract) for key, sign in ciphers]
    zeros = bytes(_BLOCK_BYTES)
    keystream = bytearray(_BLOCK_BYTES + _CIPHER_BYTES)
    words = np.frombuffer(keystream, dtype=vector.dtype)
    width = vector.dtype.itemsize
    for start in range(span.start, span.stop, _BLOCK_BYTES):
        stop = min(start + _BLOCK_BYTES, span.stop)
        block = vector[start // width : stop // width]
        plain = memoryview(zeros)[: stop - start]
        mask = words[: block.size]
        for encryptor, combine in streams:
            encryptor.update_into(plain, keystream)
            combine(block, mask, out=block)


def _key(seed: bytes, dtype: np.dtype[Any]) -> bytes:
    return derive(seed, f"{8 * dtype.itemsize}-bit words")


def _encryptor(key: bytes, counter: int) -> Any:
    return Cipher(algorithms.AES(key), modes.CTR(counter.to_bytes(_CIPHER_BYTES, "big"))).encryptor()
