"""An export proves what the chain proves: it comes back whole, and every tampering of the list is found in the file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from federation.agent.commands.app import app
from flxdr.core.errors import Malformed
from ledger.chain import checkpoint as notes
from ledger.chain import export, standalone
from ledger.chain.anchoring import TreeWatch
from ledger.chain.entries import COORDINATOR
from ledger.chain.export import ExportMalformed
from ledger.chain.record import ChainRecord
from ledger.chain.verify import Report, verify_chain
from tests.ledger.chain.test_broken_rules import SIGNED
from tests.ledger.chains import ChainBuilder, key_of
from tests.ledger.checkpoints import checkpoint_document, cosigning
from tests.ledger.tampering import MEMBERS, NOW, TIP, first_bad, honest
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


@pytest.mark.parametrize("name", SIGNED)
def test_rules_broken_with_every_signature_are_found_in_an_export(name: str) -> None:
    make, code, field = SIGNED[name]
    chain = honest()
    chain.append(make(chain), [COORDINATOR, *MEMBERS])
    data = written(chain.records, chain.chain_id)
    assert first_bad(export.records(io.BytesIO(data))) == (TIP + 1, code, field)


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


def with_checkpoint(chain: ChainBuilder, *cosigned_by: str, size: int | None = None) -> bytes:
    """An export that ends with the log's checkpoint, cosigned by those members."""
    document = checkpoint_document(chain.records, size or len(chain.records), coordinator=chain.coordinator)
    text = notes.parse(document["note"].encode()).text
    posted = [cosigning(chain.chain_id, org_id, text, org_key=chain.keys[org_id]) for org_id in cosigned_by]
    document["note"] += "".join(f"{each['cosignature']}\n" for each in posted)
    document["witnesses"] = [{"witness_key_statement": each["witness_key_statement"]} for each in posted]
    return b"".join(export.lines(chain.chain_id, chain.records, document))


def verified(data: bytes) -> Report:
    file = io.BytesIO(data)
    held = export.own_checkpoint(file)
    return verify_chain(export.records(file), tree=TreeWatch(held)).report


class TestItsOwnCheckpoint:
    def test_it_anchors_nothing_if_only_the_coordinator_hands_it_over(self) -> None:
        report = verified(with_checkpoint(honest()))
        assert (report.chain_valid, report.unanchored, report.last_good_checkpoint) == (True, TIP + 1, None)

    def test_it_anchors_the_chain_if_members_cosigned_it(self) -> None:
        report = verified(with_checkpoint(honest(), "org-a", "org-c"))
        assert (report.chain_valid, report.unanchored) == (True, 0)
        assert (report.last_good_checkpoint or {})["cosigned_by"] == ["org-a", "org-c"]

    def test_a_cosignature_that_is_not_a_members_anchors_nothing(self) -> None:
        chain = honest()
        chain.keys["org-z"] = key_of("org-z")
        report = verified(with_checkpoint(chain, "org-z"))
        assert (report.chain_valid, report.unanchored) == (True, TIP + 1)

    def test_without_it_the_file_says_less(self) -> None:
        chain = honest()
        assert export.own_checkpoint(io.BytesIO(written(chain.records, chain.chain_id))) == []

    @pytest.mark.parametrize("data", [b"", b"\n", b"{}\n", b"x"])
    def test_no_checkpoint_in_what_is_no_export(self, data: bytes) -> None:
        assert export.own_checkpoint(io.BytesIO(data)) == []

    def test_a_file_that_lost_its_last_blocks(self) -> None:
        lines = with_checkpoint(honest()).splitlines(keepends=True)
        report = verified(b"".join([*lines[:-3], lines[-1]]))
        assert report.first_bad is not None
        assert (report.first_bad.height, report.first_bad.code) == (TIP - 1, "checkpoint_beyond_chain")

    def test_one_of_another_coordinators_log(self) -> None:
        chain = honest()
        document = checkpoint_document(chain.records, TIP + 1, coordinator=key_of("stranger"))
        report = verified(b"".join(export.lines(chain.chain_id, chain.records, document)))
        assert report.first_bad is not None
        assert (report.first_bad.height, report.first_bad.code) == (TIP, "checkpoint_signature")

    def test_it_ends_the_file(self) -> None:
        lines = with_checkpoint(honest()).splitlines(keepends=True)
        with pytest.raises(ExportMalformed, match="checkpoint before the end"):
            read(b"".join([*lines[:-2], lines[-1], lines[-2]]))

    @pytest.mark.parametrize("line", [b'{"checkpoint":1}\n', b'{"checkpoint":{}}\n', b'{"checkpoint":{"note":"x"}}\n'])
    def test_a_line_that_is_no_checkpoint(self, line: bytes) -> None:
        chain = honest()
        with pytest.raises(Malformed):
            export.own_checkpoint(io.BytesIO(written(chain.records, chain.chain_id) + line))

    def test_the_stand_alone_verifier_reads_on(self) -> None:
        chain = honest()
        found, bad = standalone.verify(io.BytesIO(with_checkpoint(chain, "org-a")), chain.chain_id, NOW)
        assert (bad, found.height) == (None, TIP)

    def test_the_agents_command_names_the_witnesses(self, tmp_path: Path) -> None:
        chain, file = honest(), tmp_path / "chain.jsonl"
        file.write_bytes(with_checkpoint(chain, "org-a", "org-b"))
        result = CliRunner().invoke(app, ["verify", str(file), "--genesis", chain.chain_id])
        assert result.exit_code == 0, result.output
        assert f"Agrees with the checkpoint of {TIP + 1} blocks, cosigned by org-a, org-b" in result.output


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
