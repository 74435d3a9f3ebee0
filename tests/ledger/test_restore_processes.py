"""From one coordinator's database into another's, on either database, killed on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.chain import generate
from flxdr.core.keys import Algorithm
from ledger.chain import export
from ledger.chain.block import block_hash
from ledger.chain.record import ChainRecord
from tests.ledger.racing import database, finish, run

BLOCKS = 1500


@pytest.fixture(scope="module")
def records() -> list[ChainRecord]:
    return list(generate(BLOCKS, Algorithm.ED25519))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_killed_and_run_again(kind: str, records: list[ChainRecord], tmp_path: Path) -> None:
    chain_id = block_hash(records[0].header)
    file, again = tmp_path / "chain.jsonl", tmp_path / "again.jsonl"
    file.write_bytes(b"".join(export.lines(chain_id, records)))
    command = ["manage.py", "restore_chain", str(file), "--genesis", chain_id, "--replace-fresh", "--json"]
    with database(kind, tmp_path) as environment:
        finish(run(["manage.py", "migrate", "-v0"], environment))
        killed = run(command, environment)
        assert killed.stdout is not None
        while "500 of 1500 block(s)" not in killed.stdout.readline():
            assert killed.poll() is None
        killed.kill()
        killed.communicate()
        answer = json.loads(finish(run(command, environment)).splitlines()[-1])
        assert answer["blocks"] == BLOCKS
        assert answer["restored"] in {1000, 500}
        finish(run(["manage.py", "export_chain", str(again)], environment))
        verify = run(["manage.py", "verify_chain", "--genesis", chain_id, "--json"], environment)
        report = json.loads(finish(verify).splitlines()[-1])
    assert (report["chain_valid"], report["blocks_verified"]) == (True, BLOCKS)
    assert again.read_bytes() == file.read_bytes()
