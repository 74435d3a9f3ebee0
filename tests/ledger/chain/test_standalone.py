"""The stand-alone verifier agrees with the first one: on every honest chain, and on the height of every tampering."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flxdr.core.clock import ManualClock
from flxdr.core.keys import Algorithm
from ledger.chain import export, merkle, standalone
from ledger.chain.checkpoint import Checkpoint, origin_of
from ledger.chain.entries import COORDINATOR, PolicyEntry, SetPolicy
from ledger.chain.record import ChainRecord
from ledger.chain.verify import verify_chain
from tests.ledger.chain.test_broken_rules import SIGNED
from tests.ledger.chain.test_governance import WRONG
from tests.ledger.chains import ChainBuilder, federation, hash_of, key_of, provenance
from tests.ledger.tampering import MEMBERS, NOW, RELEASES, TIP, honest
from tests.ledger.tamperings import STORED

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

    handed_over = ChainBuilder(policy=PolicyEntry(method="operator", numerator=2, denominator=3, minimum=3))
    handed_over.admit("org-a", "org-b")
    handed_over.govern(SetPolicy(PolicyEntry(method="multisig", numerator=2, denominator=3, minimum=2)))
    handed_over.release(1, orgs=("org-a", "org-b"))
    assert judged(handed_over.records, handed_over.chain_id) == (4, None)

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


@pytest.mark.parametrize("name", WRONG)
def test_wrong_governance_entries_are_bad_at_the_same_height(name: str) -> None:
    make, *_ = WRONG[name]
    chain = honest()
    chain.govern(make(chain))
    last, bad = judged(chain.records, chain.chain_id)
    assert bad
    assert last == TIP


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_chain_that_was_governed_is_valid(algorithm: Algorithm) -> None:
    chain = governed(algorithm)
    assert chain.verified().report.chain_valid
    assert judged(chain.records, chain.chain_id, genesis=chain.chain_id) == (len(chain.records) - 1, None)


def governed(algorithm: Algorithm = Algorithm.ED25519) -> ChainBuilder:
    """A chain on which every kind of entry stands and releases go on between them."""
    chain = federation(*MEMBERS, "org-e", releases=3, algorithm=algorithm)

    def release(parent: int | None) -> None:
        number = max(3, chain.verified().state.releases["global"].newest.version) + 1  # type: ignore[union-attr]
        parent_hash = None if parent is None else hash_of(f"global {parent}")
        chain.append(chain.release_header(provenance(number, orgs=MEMBERS, parent_model_hash=parent_hash)))

    for holder in ("org-a", COORDINATOR):
        new = key_of(f"{holder}, next", algorithm)
        chain.govern(chain.rotation(holder, new))
        chain.keys[holder] = new
        release(chain.verified().state.releases["global"].newest.version)  # type: ignore[union-attr]
    chain.govern(chain.revocation("org-e", since=4))
    chain.govern(SetPolicy(PolicyEntry(method="multisig", numerator=1, denominator=2, minimum=3)))
    chain.govern(chain.withdrawal(4))
    release(3)
    chain.govern(chain.withdrawal(1))
    release(None)
    chain.govern(chain.admission("org-e", key_of("org-e, anew", algorithm)))
    chain.keys["org-e"] = key_of("org-e, anew", algorithm)
    chain.govern(chain.revocation("org-d"))
    return chain


@pytest.mark.parametrize("height", range(21))
def test_every_bit_of_a_governed_block_counts(height: int) -> None:
    chain = governed()
    assert len(chain.records) == 21
    header = chain.records[height].header
    for place in range(height % 7, len(header), 101):
        changed = header[:place] + bytes([header[place] ^ 1]) + header[place + 1 :]
        records = list(chain.records)
        records[height] = ChainRecord(changed, records[height].approvals)
        last, bad = judged(records, chain.chain_id, genesis=chain.chain_id)
        assert bad
        assert last <= height


def note_of(chain: ChainBuilder, size: int) -> str:
    """A checkpoint as its keeper has it; the signature is for those who have the log's key."""
    root = merkle.root([record.header for record in chain.records[:size]])
    return Checkpoint(origin_of(chain.chain_id), size, root).body().decode() + "\n"


@pytest.mark.parametrize("size", range(1, TIP + 2))
def test_a_kept_checkpoint_shows_what_the_chain_alone_does_not(size: int) -> None:
    chain = honest()
    note = note_of(chain, size)

    def held_against(records: Sequence[ChainRecord]) -> tuple[int, str | None]:
        data = io.BytesIO(b"".join(export.lines(chain.chain_id, records)))
        judge, bad = standalone.verify(data, None, NOW, note)
        return judge.height, bad

    assert held_against(chain.records) == (TIP, None)
    if size > 1:
        _, bad = held_against(chain.records[: size - 1])
        assert bad
        assert "missing at its end" in bad
    rewritten = federation(*MEMBERS, releases=RELEASES - 1)
    rewritten.release(RELEASES, orgs=MEMBERS, samples_total=7)
    last, bad = held_against(rewritten.records)
    assert (last, bool(bad)) == ((TIP, True) if size == TIP + 1 else (TIP, False))
    other = note.replace(chain.chain_id, hash_of("another"))
    assert standalone.verify(io.BytesIO(b"".join(export.lines("", chain.records))), None, NOW, other)[1]


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
    note = tmp_path / "held"
    note.write_text(note_of(chain, TIP))
    assert run(str(file), "--checkpoint", str(note)).returncode == 0
    note.write_text(note_of(chain, TIP).replace(chain.chain_id, hash_of("another")))
    assert "not of this chain" in run(str(file), "--checkpoint", str(note)).stdout
    file.write_bytes(file.read_bytes().replace(b'"height":4', b'"height":4 ', 1)[:-10])
    bad = run(str(file), "--genesis", chain.chain_id)
    assert bad.returncode == 1
    assert f"BAD at height {TIP}" in bad.stdout
    assert run(str(tmp_path / "none")).returncode == 2


@pytest.mark.parametrize("name", ["\r\x1b[2Kvalid: 5 block(s)\x1b[8m", "\ud800"])
def test_the_file_puts_no_words_of_its_own_on_the_terminal(name: str, tmp_path: Path) -> None:
    chain = federation("org-a", "org-b", releases=1)
    path = tmp_path / "chain.jsonl"
    *lines, last = export.lines(chain.chain_id, chain.records)
    document = json.loads(last)
    document["approvals"][0]["org_id"] = name
    path.write_bytes(b"".join(lines) + json.dumps(document).encode() + b"\n")
    ran = subprocess.run([sys.executable, PROGRAM, path], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, "")
    assert ran.stdout.startswith("BAD at height 3: ")
    assert ran.stdout.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    "respell",
    [
        lambda data: data.decode().encode("utf-16-be"),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b'"height":0', b'"height":NaN'),
        lambda data: data.replace(b'"org_id":"org-a"', b'"org_id":"org-a","note":1'),
        lambda data: data.replace(b'{"height":2', b'{"checkpoint":{}}\n{"height":2'),
    ],
    ids=["utf-16", "byte order mark", "NaN", "a further member", "a checkpoint before the end"],
)
def test_what_is_no_export_is_none_to_both(respell: Callable[[bytes], bytes]) -> None:
    chain = federation("org-a", "org-b", releases=1)
    data = b"".join(export.lines(chain.chain_id, chain.records))
    other = respell(data)
    assert other != data
    assert standalone.verify(io.BytesIO(other), None, NOW)[1] is not None
    assert verify_chain(export.records(io.BytesIO(other)), now=NOW).report.first_bad is not None
