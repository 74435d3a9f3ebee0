"""The stored chain, tampered with by somebody who has the database's password."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from ledger import selectors
from ledger.chain.block import block_hash
from ledger.chain.entries import COORDINATOR
from ledger.chain.record import ChainRecord
from ledger.chain.tree import stored_nodes
from ledger.services import checkpoints
from ledger.services.verification import verify_ledger
from tests.api.callers import operator
from tests.ledger.chains import edited, hash_of, key_of
from tests.ledger.members import Consortium, tamper

MEMBERS = ["org-a", "org-b", "org-c"]


@pytest.fixture
def sealed(consortium: Consortium) -> Consortium:
    """genesis, three admissions, releases at 4, 5, 6"""
    consortium.admit(*MEMBERS)
    for number in (1, 2, 3):
        consortium.release(number, MEMBERS)
    return consortium


def _first_bad(consortium: Consortium, **options: Any) -> tuple[int, str, str]:
    report = verify_ledger(clock=consortium.clock, **options)
    assert not report.chain_valid
    assert report.first_bad is not None
    return report.first_bad.height, report.first_bad.code, report.first_bad.field


def _edit_header(height: int) -> None:
    block = selectors.block_at(height)
    header = edited(bytes(block.header), model_hash=hash_of("evil"))
    tamper("UPDATE blocks SET header = %s WHERE height = %s", header, height)


def _edit_header_and_columns(height: int) -> None:
    block = selectors.block_at(height)
    header = edited(bytes(block.header), model_hash=hash_of("evil"))
    new_hash = block_hash(header)
    values = (header, hash_of("evil"), new_hash, height)
    tamper("UPDATE blocks SET header = %s, model_hash = %s, block_hash = %s WHERE height = %s", *values)
    tamper("UPDATE approvals SET block_hash = %s WHERE block_hash = %s", new_hash, block.block_hash)


def _take_away(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO gone")


def _replace_signature(height: int) -> None:
    hash_ = selectors.block_at(height).block_hash
    tamper("UPDATE approvals SET signature = %s WHERE org_id = 'org-a' AND block_hash = %s", bytes(64), hash_)


def _column(column: str, value: Any) -> Any:
    return lambda: tamper(f"UPDATE blocks SET {column} = %s WHERE height = 5", value)


def _delete(height: int) -> None:
    tamper("DELETE FROM blocks WHERE height = %s", height)


def _strip(height: int, *org_ids: str) -> None:
    for org_id in org_ids:
        hash_ = selectors.block_at(height).block_hash
        tamper("DELETE FROM approvals WHERE org_id = %s AND block_hash = %s", org_id, hash_)


TAMPERINGS: dict[str, tuple[Any, int, str]] = {
    "header": (lambda: _edit_header(5), 5, "column_mismatch"),
    "header and columns": (lambda: _edit_header_and_columns(5), 5, "approval_signature"),
    "model hash column": (_column("model_hash", hash_of("x")), 5, "column_mismatch"),
    "version column": (_column("model_version", 9), 5, "column_mismatch"),
    "round column": (_column("round_id", "round-9"), 5, "column_mismatch"),
    "parent column": (_column("parent_model_hash", hash_of("x")), 5, "column_mismatch"),
    "time column": (_column("timestamp", "2026-01-01 00:00:00+00"), 5, "column_mismatch"),
    "block deleted": (lambda: _delete(5), 5, "height_mismatch"),
    "genesis deleted": (lambda: _delete(0), 0, "genesis_malformed"),
    "all deleted": (lambda: tamper("DELETE FROM blocks"), 0, "chain_empty"),
    "signature": (lambda: _replace_signature(5), 5, "approval_signature"),
    "approval deleted": (lambda: _strip(5, "org-a"), 5, "quorum_not_met"),
    "coordinator's approval deleted": (lambda: _strip(6, COORDINATOR), 6, "coordinator_missing"),
    "key replaced in the index": (
        lambda: tamper("UPDATE ledger_signerkey SET spki = %s WHERE org_id = 'org-b'", key_of("x").public.spki),
        2,
        "signer_index_mismatch",
    ),
    "key deleted from the index": (
        lambda: tamper("DELETE FROM ledger_signerkey WHERE org_id = 'org-b'"),
        6,
        "signer_index_mismatch",
    ),
    "key added to the index": (
        lambda: tamper("UPDATE ledger_signerkey SET org_id = 'org-x' WHERE org_id = 'org-c'"),
        6,
        "signer_index_mismatch",
    ),
    "key retired in the index": (
        lambda: tamper("UPDATE ledger_signerkey SET revoked_height = 4 WHERE org_id = 'org-b'"),
        6,
        "signer_index_mismatch",
    ),
    "governance entry changed in the index": (
        lambda: tamper("UPDATE governance_entries SET org_id = 'org-x' WHERE height = 2"),
        2,
        "governance_index_mismatch",
    ),
    "governance entry deleted from the index": (
        lambda: tamper("DELETE FROM governance_entries WHERE height = 1"),
        1,
        "governance_index_mismatch",
    ),
    "policy added to the index": (
        lambda: tamper("INSERT INTO governance_entries (height, action) VALUES (5, 'set_policy')"),
        5,
        "governance_index_mismatch",
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_found_at_its_height(sealed: Consortium, name: str) -> None:
    assert verify_ledger(clock=sealed.clock).chain_valid
    change, height, code = TAMPERINGS[name]
    change()
    assert _first_bad(sealed)[:2] == (height, code)


def test_command_on_a_valid_chain(sealed: Consortium, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("verify_chain", genesis=selectors.chain_id())
    out = capsys.readouterr().out
    assert f"chain valid: 7 block(s), newest {selectors.head().block_hash}" in out
    assert "warning: 2 block(s) between heights 1 and 2 sealed by the coordinator alone" in out
    assert "7 block(s) unanchored" in out


def test_command_names_the_first_bad_block(sealed: Consortium, capsys: pytest.CaptureFixture[str]) -> None:
    _column("model_hash", hash_of("evil"))()
    with pytest.raises(SystemExit) as ended:
        call_command("verify_chain")
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert "chain INVALID at height 5: column_mismatch" in out
    assert f"expected  {hash_of('global 2')}" in out
    assert f"actual    {hash_of('evil')}" in out
    assert "heights 5 to 6; 5 block(s) before are good" in out


@pytest.mark.parametrize("tampered", [False, True])
def test_command_as_json(sealed: Consortium, tampered: bool, capsys: pytest.CaptureFixture[str]) -> None:
    if tampered:
        _column("model_hash", hash_of("evil"))()
        with pytest.raises(SystemExit):
            call_command("verify_chain", json=True)
    else:
        call_command("verify_chain", "--json")
    report = json.loads(capsys.readouterr().out)
    assert report["chain_valid"] is not tampered
    assert (report["first_bad"] or {}).get("height") == (5 if tampered else None)
    assert report["suspect_range"] == ([5, 6] if tampered else None)
    assert report["last_good_checkpoint"] is None
    assert set(report["stats"]) == {"seconds", "blocks_per_s"}


def test_what_the_command_finds_is_kept_for_everybody(sealed: Consortium) -> None:
    for other in ({"signatures_from": 4}, {"genesis": "0" * 64}):
        with contextlib.suppress(SystemExit):
            call_command("verify_chain", "--json", **other)
        assert selectors.last_pass() is None
    call_command("verify_chain", "--json", genesis=selectors.chain_id())
    kept = selectors.last_pass()
    assert kept is not None
    assert (kept.source, kept.valid, kept.verified_to) == ("command", True, 6)
    _column("model_hash", hash_of("evil"))()
    with pytest.raises(SystemExit):
        call_command("verify_chain", "--json")
    kept = selectors.last_pass()
    assert kept is not None
    assert (kept.valid, kept.verified_to) == (False, 4)


def test_command_on_a_copy_that_keeps_nothing(sealed: Consortium) -> None:
    _take_away("verification_passes")
    call_command("verify_chain", "--json")


def test_command_from_a_height(sealed: Consortium, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("verify_chain", "--from", "4", "--json")
    report = json.loads(capsys.readouterr().out)
    assert report["covers"] == {"from": 0, "to": 6, "signatures_from": 4}
    assert any("below height 4" in warning for warning in report["warnings"])


def test_command_with_another_pin(sealed: Consortium, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("verify_chain", "--genesis", "0" * 64)
    assert "height 0: genesis_mismatch" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--genesis", "abc"], ["--from", "-1"], ["--from", "x"]])
def test_command_refuses_what_it_cannot_read(sealed: Consortium, arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("verify_chain", f"{arguments[0]}={arguments[1]}")


def test_command_shows_its_progress_on_a_terminal(
    sealed: Consortium, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    call_command("verify_chain")
    assert "verifying" not in capsys.readouterr().err
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    call_command("verify_chain")
    assert "7/7" in capsys.readouterr().err
    export = tmp_path / "chain.jsonl"
    call_command("export_chain", str(export))
    capsys.readouterr()
    call_command("verify_chain", export=export)
    assert "7/7" in capsys.readouterr().err


def test_command_without_a_ledger(sealed: Consortium) -> None:
    _take_away("blocks")
    with pytest.raises(CommandError) as refused:
        call_command("verify_chain")
    assert refused.value.returncode == 2
    assert "manage.py migrate" in str(refused.value)


def test_an_index_that_the_guide_reads(sealed: Consortium) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT height, model_hash FROM blocks ORDER BY height;")
        rows = cursor.fetchall()
    assert rows[-1] == (6, hash_of("global 3"))
    assert rows[0] == (0, None)


def test_an_export_is_verified_like_the_database(
    sealed: Consortium, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "chain.jsonl"
    call_command("export_chain", str(file))
    assert f"7 block(s) of the chain {selectors.chain_id()}" in capsys.readouterr().err
    call_command("verify_chain", "--json", export=file, genesis=selectors.chain_id())
    assert json.loads(capsys.readouterr().out)["blocks_verified"] == 7
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:3], *lines[4:]]))
    with pytest.raises(SystemExit) as ended:
        call_command("verify_chain", "--json", export=file)
    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out)["first_bad"]["height"] == 2


def test_an_export_holds_no_submissions_to_recompute_from(sealed: Consortium, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--recompute needs the submissions"):
        call_command("verify_chain", export=tmp_path / "chain.jsonl", recompute=True)
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("verify_chain", export=tmp_path / "none.jsonl")


def _keep(folder: Path) -> Path:
    """The checkpoint that a client keeps as it was answered."""
    file = folder / "checkpoint.json"
    file.write_bytes(operator().get("blockchain/checkpoint", HTTP_ACCEPT="application/json").content)
    return file


def _truncate(size: int) -> None:
    """The newest blocks removed with all that was stored for them."""
    for height in range(size, selectors.head().height + 1):
        tamper("DELETE FROM approvals WHERE block_hash = %s", selectors.block_at(height).block_hash)
    tamper("DELETE FROM blocks WHERE height >= %s", size)
    tamper("DELETE FROM tree_nodes WHERE position >= %s", stored_nodes(size))


def test_a_held_checkpoint_anchors_the_blocks_that_it_covers(
    sealed: Consortium, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _keep(tmp_path)
    sealed.release(4, MEMBERS)
    call_command("verify_chain", "--checkpoint", str(file))
    out = capsys.readouterr().out
    assert "agrees with the checkpoint of 7 block(s)" in out
    assert "1 block(s) unanchored" in out
    note, key = tmp_path / "note", checkpoints.verifier_key_of_log()
    note.write_bytes(checkpoints.checkpoint(size=5).encode())
    call_command("verify_chain", "--json", "--checkpoint", str(note), "--checkpoint", str(file), "--log-key", key)
    report = json.loads(capsys.readouterr().out)
    assert report["last_good_checkpoint"] == {
        **checkpoints.checkpoint(size=7).checkpoint.as_json(),
        "cosigned_by": [],
    }
    assert report["unanchored"] == 1


def test_a_truncation_that_leaves_no_trace_shows_in_a_held_checkpoint(
    sealed: Consortium, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _keep(tmp_path)
    _truncate(5)
    assert verify_ledger(clock=sealed.clock).chain_valid
    with pytest.raises(SystemExit) as ended:
        call_command("verify_chain", "--json", "--checkpoint", str(file))
    assert ended.value.code == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["first_bad"]["height"], report["first_bad"]["code"]) == (5, "checkpoint_beyond_chain")


def test_an_export_is_compared_with_a_held_checkpoint(
    sealed: Consortium, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held, file = _keep(tmp_path), tmp_path / "chain.jsonl"
    call_command("export_chain", str(file))
    call_command("verify_chain", "--json", "--export", str(file), "--checkpoint", str(held))
    assert json.loads(capsys.readouterr().out)["unanchored"] == 0
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-3]))
    with pytest.raises(SystemExit):
        call_command("verify_chain", "--json", "--export", str(file), "--checkpoint", str(held))
    assert json.loads(capsys.readouterr().out)["first_bad"]["code"] == "checkpoint_beyond_chain"


@pytest.mark.parametrize("content", [None, b"no checkpoint", b"{}"])
def test_a_checkpoint_that_cannot_be_read_is_a_mistake_of_the_caller(
    sealed: Consortium, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "checkpoint"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CommandError) as refused:
        call_command("verify_chain", "--checkpoint", str(file))
    assert refused.value.returncode == 2


@pytest.mark.parametrize(
    ("statement", "height"),
    [
        ("UPDATE tree_nodes SET hash = %s WHERE position = 4", 3),
        ("DELETE FROM tree_nodes WHERE position = 4 AND hash <> %s", 3),
        ("INSERT INTO tree_nodes (position, hash) VALUES (11, %s)", 7),
    ],
    ids=["changed", "removed", "beyond the tip"],
)
def test_a_damaged_tree(sealed: Consortium, statement: str, height: int) -> None:
    tamper(statement, bytes(32))
    assert _first_bad(sealed)[:2] == (height, "tree_mismatch")


def test_an_export_that_fails_leaves_the_older_file_alone(
    sealed: Consortium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is cut off between two lines reads as a shorter chain."""
    file = tmp_path / "chain.jsonl"
    call_command("export_chain", str(file))
    before = file.read_bytes()
    records = selectors.chain_records

    def until_the_disk_is_full(*args: int) -> Iterator[ChainRecord]:
        yield next(records(*args))
        raise OSError("No space left on device")

    monkeypatch.setattr(selectors, "chain_records", until_the_disk_is_full)
    with pytest.raises(CommandError) as refused:
        call_command("export_chain", str(file))
    assert refused.value.returncode == 2
    assert file.read_bytes() == before
    assert [path for path in tmp_path.iterdir() if path.is_file()] == [file]


@pytest.mark.usefixtures("empty_ledger")
def test_no_chain_is_no_export(tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        call_command("export_chain", str(tmp_path / "chain.jsonl"))
    assert not any(path.is_file() for path in tmp_path.iterdir())
