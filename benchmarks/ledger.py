"""The ledger: verification against the signature checks alone, its pace without them, its memory; then what is stored.

The limit of a verification is the time of its public-key operations, three a block, over the same bytes in the same
process and thread. Chains are made by the project's own code and held in memory, except for memory, where they are made
while they are verified, in a process of their own.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks import ledger_append, ledger_stored
from benchmarks.chain import generate
from benchmarks.measure import Row, against_peer, timed, versions
from flxdr.core import dsse
from flxdr.core.keys import Algorithm
from ledger.chain.record import ChainRecord
from ledger.chain.verify import verify_chain

SIGNED_BLOCKS = 1_000
STRUCTURE_BLOCKS = 10_000
LEAST_BLOCKS_PER_S = 30_000
_PEAK = r"""
import re, sys
from pathlib import Path
from benchmarks.chain import generate
from flxdr.core.keys import Algorithm
from ledger.chain.verify import verify_chain
blocks = int(sys.argv[1])
report = verify_chain(generate(blocks, Algorithm.ED25519, genuine=False), signatures_from=blocks).report
assert report.chain_valid and report.blocks_verified == blocks, report
# Not `ru_maxrss`: that one keeps the peak of the process that started this one.
print(int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def rows() -> list[Row]:
    """The `ledger.*` rows."""
    return [
        _against_crypto("ed25519", Algorithm.ED25519, 0.85),
        _against_crypto("mldsa65", Algorithm.ML_DSA_65, 0.90),
        _structure(),
        *_memory(),
        *ledger_stored.rows(),
        *ledger_append.rows(),
    ]


def _against_crypto(name: str, algorithm: Algorithm, least: float) -> Row:
    records = list(generate(SIGNED_BLOCKS, algorithm))
    state = verify_chain(records).state
    assert state is not None
    checks = [
        (key, approval.signature, record.header)
        for record in records
        for approval in record.approvals
        if (key := state.keys.key(approval.org_id, approval.key_id)) is not None
    ]

    def crypto() -> None:
        for key, signature, header in checks:
            dsse.verify(key, signature, dsse.BLOCK_TYPE, header)

    return against_peer(
        f"ledger.verify.{name}",
        ours=lambda: partial(_verify, records),
        peer=lambda: crypto,
        limit_ratio=least,
        note=f"{SIGNED_BLOCKS} blocks, {len(checks)} signatures, one thread, against the signature checks alone; "
        + versions("cryptography", "msgspec", "orjson"),
    )


def _structure() -> Row:
    records = list(generate(STRUCTURE_BLOCKS, Algorithm.ED25519, genuine=False))
    run: Callable[[], object] = partial(_verify, records, signatures_from=STRUCTURE_BLOCKS)
    seconds = statistics.median([timed(lambda: run) for _ in range(10)][1:])
    rate = STRUCTURE_BLOCKS / seconds
    return Row(
        "ledger.verify.structure",
        round(seconds / STRUCTURE_BLOCKS * 1e6, 2),
        None,
        None,
        "us/block",
        round(1e6 / LEAST_BLOCKS_PER_S, 2),
        None,
        f"{rate:.0f} blocks/s without the signature checks (least: {LEAST_BLOCKS_PER_S}), {STRUCTURE_BLOCKS} blocks "
        f"of {len(records[-1].header)} bytes; " + versions("msgspec", "orjson"),
    )


def _verify(records: list[ChainRecord], *, signatures_from: int = 0) -> None:
    report = verify_chain(records, signatures_from=signatures_from).report
    assert report.chain_valid, report


def _memory() -> Iterator[Row]:
    short = _peak(1_000)
    for name, blocks in (("1e4", 10_000), ("1e5", 100_000)):
        peak = _peak(blocks)
        yield Row(
            f"ledger.memory.{name}",
            round(peak, 1),
            round(short, 1),
            round(short / peak, 3),
            "MB",
            None,
            0.95,
            f"peak of a process that verifies the structure of {blocks} blocks, against 1000 blocks; {versions()}",
        )


def _peak(blocks: int) -> float:
    done = subprocess.run([sys.executable, "-c", _PEAK, str(blocks)], check=True, capture_output=True, text=True)
    return float(done.stdout)
