"""An export proves what the chain proves: it comes back whole, and every tampering of the list is found in the file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from federation.agent.commands.app import app
from ledger.chain import export
from ledger.chain.export import ExportMalformed
from ledger.chain.record import ChainRecord
from tests.ledger.tampering import TIP, first_bad, honest
from tests.ledger.tamperings import STORED


def written(records: list[ChainRecord], chain_id: str) -> bytes:
    return b"".join(export.lines(chain_id, records))


def read(data: bytes) -> list[ChainRecord]:
    return list(export.records(io.BytesIO(data)))


def test_a_chain_comes_back_as_it_was() -> None:
    chain = honest()
    back = read(written(chain.records, chain.chain_id))
    assert [record.header for record in back] == [record.header for record in chain.records]
    assert [sorted(record.approvals) for record in back] == [sorted(record.approvals) for record in chain.records]


@pytest.mark.parametrize("name", STORED)
def test_a_tampered_export_is_bad_at_the_same_height_for_the_same_reason(name: str) -> None:
    tamper, height, code = STORED[name]
    chain = honest()
    data = written(tamper(chain), chain.chain_id)
    assert first_bad(export.records(io.BytesIO(data)))[:2] == (height, code)


@pytest.mark.parametrize(
    ("damage", "height"),
    [
        (lambda lines: [b'{"format":"other","v":1}\n', *lines[1:]], 0),
        (lambda lines: [lines[0].replace(b'"v":1', b'"v":2'), *lines[1:]], 0),
        (lambda lines: lines[1:], 0),
        (lambda lines: [*lines[:4], b"not json\n", *lines[4:]], 3),
        (lambda lines: [*lines[:4], b"[]\n", *lines[4:]], 3),
        (lambda lines: [*lines[:4], b'{"height":3}\n', *lines[4:]], 3),
        (lambda lines: [*lines[:-1], lines[-1][:-40]], TIP),
        (lambda lines: [*lines[:4], lines[4].replace(b'"header":"', b'"header":"*'), *lines[5:]], 3),
    ],
)
def test_a_damaged_file_names_its_line(damage: Callable[[list[bytes]], list[bytes]], height: int) -> None:
    chain = honest()
    data = b"".join(damage(list(export.lines(chain.chain_id, chain.records))))
    with pytest.raises(ExportMalformed, match=f"line {1 if height == 0 else height + 2}"):
        read(data)
    assert first_bad(export.records(io.BytesIO(data)))[:2] == (height, "record_malformed")


def test_what_only_somebody_who_remembers_can_see_is_not_seen() -> None:
    """A truncated export verifies: the documentation says so, and checkpoints are what is against it."""
    chain = honest()
    shorter = read(written(chain.records[:-1], chain.chain_id))
    assert len(shorter) == TIP


class TestTheAgentsCommand:
    def verify(self, data: bytes, folder: Path, *options: str) -> Result:
        (folder / "chain.jsonl").write_bytes(data)
        return CliRunner().invoke(app, ["verify", str(folder / "chain.jsonl"), *options])

    def test_it_needs_neither_coordinator_nor_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLXDR_AGENT_HOME", str(tmp_path / "nowhere"))
        chain = honest()
        result = self.verify(written(chain.records, chain.chain_id), tmp_path, "--genesis", chain.chain_id, "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["blocks_verified"] == TIP + 1

    def test_another_genesis_is_refused(self, tmp_path: Path) -> None:
        chain = honest()
        result = self.verify(written(chain.records, chain.chain_id), tmp_path, "--genesis", "0" * 64, "--json")
        assert result.exit_code == 1
        assert json.loads(result.stdout)["first_bad"]["code"] == "genesis_mismatch"

    def test_without_a_pin_it_warns(self, tmp_path: Path) -> None:
        chain = honest()
        result = self.verify(written(chain.records, chain.chain_id), tmp_path)
        assert result.exit_code == 0
        assert "no --genesis was given" in result.output

    def test_a_bad_block_is_named(self, tmp_path: Path) -> None:
        chain = honest()
        data = written([*chain.records[:3], *chain.records[4:]], chain.chain_id)
        result = self.verify(data, tmp_path, "--genesis", chain.chain_id)
        assert result.exit_code == 1
        assert "BAD at height 3" in result.output

    def test_a_file_that_is_not_there_is_a_mistake_of_the_caller(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(app, ["verify", str(tmp_path / "none.jsonl")])
        assert result.exit_code == 2
        assert "cannot be read" in result.output
