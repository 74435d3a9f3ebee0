"""Packed Paillier against `phe`, one value a ciphertext, and against CKKS of TenSEAL; one process each.

What is counted is values: 16-bit integers of one party, with headroom for ten.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import phe
from numpy.typing import NDArray

from benchmarks.measure import Prepared, Row, against_peer, alone, versions
from privacy.paillier.decryption import open_all, verify
from privacy.paillier.encryption import add, encrypt, parse
from privacy.paillier.keys import PrivateKey, PublicKey
from privacy.paillier.layout import Layout

ENCRYPTED, OPENED = 160_000, 40_000
"""Values; opening takes long, and as long for every ciphertext."""
PARTIES = 10
BOUND = 2**15 - 1
NAIVE_VALUES = 20
REPEATS = 3
LEAST_RATIOS = {3072: {"encrypt": 2000.0, "decrypt": 100.0, "bytes_per_value": 100.0}, 2048: {}}
VERIFY_LIMIT_MS = {3072: 2.0, 2048: None}
USED = ("gmpy2", "phe", "numpy")
Values = NDArray[np.int64]


def rows() -> Iterator[Row]:
    """Both sizes of key, then CKKS."""
    values = np.random.default_rng(ENCRYPTED).integers(-BOUND, BOUND + 1, ENCRYPTED)
    for bits in LEAST_RATIOS:
        private = PrivateKey.generate(bits)
        naive = phe.PaillierPrivateKey(phe.PaillierPublicKey(private.public.n), int(private.p), int(private.q))
        yield from _sent(private.public, naive.public_key, values)
        yield from _opened(private, naive, values[:OPENED])
    yield from _ckks(values)


def _sent(public: PublicKey, naive: phe.PaillierPublicKey, values: Values) -> Iterator[Row]:
    bits = public.modulus_bits
    layout = Layout(bits, BOUND, PARTIES, values.size)
    ciphertexts = parse(public, encrypt(public, layout.pack(values)), layout.ciphertexts)
    few = values[:NAIVE_VALUES].tolist()
    theirs = [naive.encrypt(value) for value in few]
    yield _each(
        "encrypt",
        bits,
        values.size,
        ours=lambda: lambda: encrypt(public, layout.pack(values)),
        peer=lambda: lambda: [naive.encrypt(value) for value in few],
        note="packing and the table of the base included",
    )
    yield _each(
        "add",
        bits,
        values.size * (PARTIES - 1),
        ours=lambda: lambda: add(public, [ciphertexts] * PARTIES),
        peer=lambda: lambda: [ciphertext + ciphertext for ciphertext in theirs],
        note=f"{PARTIES} parties",
    )
    each, bare = layout.body_bytes / values.size, layout.ciphertext_bytes
    least = LEAST_RATIOS[bits].get("bytes_per_value")
    note = f"{layout.lanes} lanes of {layout.lane_bits} bits; phe: a ciphertext a value, bare; {versions(*USED)}"
    name = f"paillier.bytes_per_value.{bits}"
    yield Row(name, round(each, 3), bare, round(bare / each, 1), "bytes", None, least, note)


def _opened(private: PrivateKey, naive: phe.PaillierPrivateKey, values: Values) -> Iterator[Row]:
    public, bits = private.public, private.public.modulus_bits
    layout = Layout(bits, BOUND, PARTIES, values.size)
    ciphertexts = parse(public, encrypt(public, layout.pack(values)), layout.ciphertexts)
    total = add(public, [ciphertexts] * PARTIES)
    openings = open_all(private, total)
    assert (layout.unpack(openings.plaintexts, PARTIES) == PARTIES * values).all()
    theirs = [naive.public_key.encrypt(value) for value in values[:NAIVE_VALUES].tolist()]
    yield _each(
        "decrypt",
        bits,
        values.size,
        ours=lambda: lambda: layout.unpack(open_all(private, total).plaintexts, PARTIES),
        peer=lambda: lambda: [naive.decrypt(ciphertext) for ciphertext in theirs],
        note="ours with the randomizers that others verify, checked before they are returned",
    )
    checked = alone("", ours=lambda: lambda: verify(public, total, openings), note="", repeats=REPEATS)
    each = round(checked.ours / layout.ciphertexts, 4)
    note = f"{layout.ciphertexts} openings in one check; {versions(*USED)}"
    yield Row(f"paillier.verify.{bits}", each, None, None, "ms/ciphertext", VERIFY_LIMIT_MS[bits], None, note)


def _each(operation: str, bits: int, count: int, *, ours: Prepared, peer: Prepared, note: str) -> Row:
    """Microseconds a value: `count` of ours against `NAIVE_VALUES` of the peer's."""
    timed = against_peer("", ours=ours, peer=peer, note="", repeats=REPEATS)
    assert timed.peer is not None
    mine, theirs = timed.ours * 1000 / count, timed.peer * 1000 / NAIVE_VALUES
    speeds = f"{1e6 / mine:,.0f} values/s against {1e6 / theirs:,.0f}; one core; {note}; {versions(*USED)}"
    least = LEAST_RATIOS[bits].get(operation)
    name = f"paillier.{operation}.{bits}"
    return Row(name, round(mine, 4), round(theirs, 2), round(theirs / mine, 1), "us/value", None, least, speeds)


def _ckks(values: Values) -> Iterator[Row]:
    """CKKS by itself, with the least parameters of 128 bits of security that add ten vectors precisely."""
    import tenseal  # noqa: PLC0415 (only in the benchmarks' environment)

    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, 4096, coeff_mod_bit_sizes=[49, 49], n_threads=1)
    context.global_scale = 2**30
    slots = 2048
    parts = [values[start : start + slots].tolist() for start in range(0, values.size, slots)]

    def encrypted() -> list[tenseal.CKKSVector]:
        return [tenseal.ckks_vector(context, part) for part in parts]

    ciphertexts = encrypted()
    sums = [sum((vector for _ in range(PARTIES - 1)), start=vector) for vector in ciphertexts]
    error = np.abs(np.concatenate([vector.decrypt() for vector in sums]) - PARTIES * values).max()
    used = f"TenSEAL, degree 4096, moduli 49 + 49 bits, scale 2^30; {versions('tenseal')}"
    for operation, prepared in (
        ("encrypt", lambda: encrypted),
        ("decrypt", lambda: lambda: [vector.decrypt() for vector in sums]),
    ):
        each = alone("", ours=prepared, note="", repeats=REPEATS).ours * 1000 / values.size
        note = f"{1e6 / each:,.0f} values/s; a sum of {PARTIES} is off by up to {error:.1e} of a step; {used}"
        yield Row(f"paillier.ckks.{operation}", round(each, 4), None, None, "us/value", None, None, note)
    size = sum(len(vector.serialize()) for vector in ciphertexts) / values.size
    yield Row("paillier.ckks.bytes_per_value", round(size, 2), None, None, "bytes", None, None, used)
