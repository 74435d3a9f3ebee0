"""`manage.py restore_chain`: what it tells, and the checkpoints that it holds the file against."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from ledger.chain import export
from ledger.models import Block
from ledger.services import restoring
from tests.ledger.chains import write_export
from tests.ledger.checkpoints import checkpoint_document, checkpoint_file
from tests.ledger.tampering import TIP, honest
from tests.ledger.tamperings import STORED
from tests.ledger.unseen import rewritten

pytestmark = pytest.mark.usefixtures("empty_ledger")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "chain.jsonl"


def test_it_tells_what_it_did(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "BATCH", 2)
    chain = honest()
    write_export(file, chain)
    call_command("restore_chain", str(file))
    told = capsys.readouterr()
    assert f"9 block(s) restored, 9 in all, newest {chain.verified().report.last_block_hash}" in told.out
    assert f"no --genesis was given: compare {chain.chain_id}" in told.out
    assert "this coordinator's key is not the chain's" in told.out
    assert "8 of 9 block(s)" in told.err


def test_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain = honest()
    write_export(file, chain)
    call_command("restore_chain", str(file), "--genesis", chain.chain_id, "--json")
    answer = json.loads(capsys.readouterr().out)
    assert (answer["chain_id"], answer["blocks"], answer["restored"]) == (chain.chain_id, 9, 9)
    assert len(answer["warnings"]) == 1


def test_it_names_what_it_refuses(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain = honest()
    make, height, code = STORED["delete a block"]
    write_export(file, chain, make(chain))
    with pytest.raises(CommandError, match=f"block {height} of the export does not hold") as refused:
        call_command("restore_chain", str(file), "--json")
    assert refused.value.returncode == 1
    assert json.loads(capsys.readouterr().out)["check"] == code


def test_against_a_checkpoint(file: Path, tmp_path: Path) -> None:
    chain, held = honest(), tmp_path / "checkpoint.json"
    held.write_bytes(checkpoint_file(chain.records, TIP + 1, coordinator=chain.coordinator))
    write_export(file, chain, chain.records[:-1])
    with pytest.raises(CommandError, match="checkpoint_beyond_chain") as refused:
        call_command("restore_chain", str(file), "--checkpoint", str(held))
    assert refused.value.returncode == 1
    assert not Block.objects.exists()
    write_export(file, chain)
    call_command("restore_chain", str(file), "--checkpoint", str(held))
    assert Block.objects.count() == TIP + 1


def test_against_the_checkpoint_that_the_file_carries(file: Path) -> None:
    chain = honest()
    own = checkpoint_document(chain.records, TIP + 1, coordinator=chain.coordinator)
    for records, refusal in (
        (chain.records[:-1], "checkpoint_beyond_chain"),
        (rewritten(honest()), "checkpoint_root_mismatch"),
    ):
        file.write_bytes(b"".join(export.lines(chain.chain_id, records, own)))
        with pytest.raises(CommandError, match=refusal):
            call_command("restore_chain", str(file))
        assert not Block.objects.exists()
    file.write_bytes(b"".join(export.lines(chain.chain_id, chain.records, own)))
    call_command("restore_chain", str(file))
    assert Block.objects.count() == TIP + 1


@pytest.mark.parametrize("line", [b'{"checkpoint":1}\n', b'{"checkpoint":{}}\n', b'{"checkpoint":x}\n'])
def test_a_damaged_checkpoint_in_the_file(file: Path, line: bytes) -> None:
    file.write_bytes(write_export(file, honest()) + line)
    with pytest.raises(CommandError, match="own checkpoint cannot be read") as refused:
        call_command("restore_chain", str(file))
    assert refused.value.returncode == 1
    assert not Block.objects.exists()


def test_against_what_is_no_checkpoint(file: Path, tmp_path: Path) -> None:
    write_export(file, honest())
    (tmp_path / "checkpoint").write_bytes(b"no note")
    with pytest.raises(CommandError, match="the checkpoint cannot be read") as refused:
        call_command("restore_chain", str(file), "--checkpoint", str(tmp_path / "checkpoint"))
    assert refused.value.returncode == 2


def test_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read") as refused:
        call_command("restore_chain", str(tmp_path / "none"))
    assert refused.value.returncode == 2
