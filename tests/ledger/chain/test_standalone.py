"""The stand-alone verifier agrees with the first one: on every honest chain, and on the height of every tampering."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flxdr.core.clock import ManualClock
from flxdr.core.keys import Algorithm
from ledger.chain import export, standalone
from ledger.chain.entries import COORDINATOR, PolicyEntry
from ledger.chain.record import ChainRecord
from tests.ledger.chain.test_broken_rules import SIGNED
from tests.ledger.chain.test_tampered_bytes import STORED
from tests.ledger.chains import ChainBuilder, federation, key_of, provenance
from tests.ledger.tampering import MEMBERS, TIP, honest

NOW = datetime(2100, 1, 1, tzinfo=UTC)
PROGRAM = Path(standalone.__file__)


def judged(
    records: Sequence[ChainRecord], chain_id: str, *, genesis: str | None = None, now: datetime = NOW
) -> tuple[int, str | None]:
    """Height of the last good block, and what is wrong with the next one."""
    data = io.BytesIO(b"".join(export.lines(chain_id, records)))
    chain, bad = standalone.verify(data, genesis, now)
    return chain.height, bad


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_honest_chains_are_valid(algorithm: Algorithm) -> None:
    chain = federation(*MEMBERS, releases=3, algorithm=algorithm)
    assert judged(chain.records, chain.chain_id, genesis=chain.chain_id) == (len(chain.records) - 1, None)


def test_the_operators_method_and_further_keys_are_valid_too() -> None:
    operated = ChainBuilder(policy=PolicyEntry(method="operator", numerator=2, denominator=3, minimum=2))
    operated.admit("org-a")
    operated.append(operated.release_header(provenance(1)))
    assert judged(operated.records, operated.chain_id) == (2, None)

    chain = honest()
    action = chain.admission("org-a", key_of("second key of org-a"), endorser=key_of("org-a"))
    chain.append(chain.governance_header(action))
    assert judged(chain.records, chain.chain_id) == (TIP + 1, None)


@pytest.mark.parametrize("name", STORED)
def test_tampered_bytes_are_bad_at_the_same_height(name: str) -> None:
    tamper, height, _ = STORED[name]
    chain = honest()
    last, bad = judged(tamper(chain), chain.chain_id)
    assert bad
    assert last == height - 1


@pytest.mark.parametrize("name", SIGNED)
def test_rules_broken_with_every_signature_are_bad_at_the_same_height(name: str) -> None:
    make, *_ = SIGNED[name]
    chain = honest()
    chain.append(make(chain), [COORDINATOR, *MEMBERS])
    assert not chain.verified().report.chain_valid
    last, bad = judged(chain.records, chain.chain_id)
    assert bad
    assert last == TIP


@pytest.mark.parametrize("height", range(TIP + 1))
def test_every_bit_of_a_block_counts(height: int) -> None:
    chain = honest()
    header = chain.records[height].header
    for place in range(0, len(header), 97):
        changed = header[:place] + bytes([header[place] ^ 1]) + header[place + 1 :]
        records = list(chain.records)
        records[height] = ChainRecord(changed, records[height].approvals)
        last, bad = judged(records, chain.chain_id, genesis=chain.chain_id)
        assert bad
        assert last <= height


def test_another_genesis_and_the_future_are_refused() -> None:
    chain = honest()
    assert judged(chain.records, chain.chain_id, genesis="0" * 64)[0] == -1
    before = ManualClock().now() - timedelta(minutes=6)
    assert judged(chain.records, chain.chain_id, now=before) == (-1, "the block is from the future")


def test_it_shares_nothing_with_the_first_verifier_and_stays_short() -> None:
    source = PROGRAM.read_text()
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    outside = {name.split(".")[0] for name in imported} - set(sys.stdlib_module_names)
    assert outside == {"cryptography"}
    assert len(source.splitlines()) <= 400


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As a program, away from the project: `-I` keeps it from importing anything that lies beside it."""
    return subprocess.run(
        [sys.executable, "-I", str(PROGRAM), *arguments], capture_output=True, text=True, check=False, cwd="/"
    )


def test_as_a_program(tmp_path: Path) -> None:
    chain = honest()
    file = tmp_path / "chain.jsonl"
    file.write_bytes(b"".join(export.lines(chain.chain_id, chain.records)))
    good = run(str(file), "--genesis", chain.chain_id)
    assert (good.returncode, good.stdout.split(":")[0]) == (0, "valid"), good.stderr
    assert "NOT pinned" in run(str(file)).stdout
    file.write_bytes(file.read_bytes().replace(b'"height":4', b'"height":4 ', 1)[:-10])
    bad = run(str(file), "--genesis", chain.chain_id)
    assert bad.returncode == 1
    assert f"BAD at height {TIP}" in bad.stdout
    assert run(str(tmp_path / "none")).returncode == 2
